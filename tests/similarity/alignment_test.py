"""PWCCA, CKA, Procrustes, shape distances, regression and their nulls."""

import numpy as np
import pytest
import scipy.linalg

from tests.similarity import oracles
from transfusion_tf import similarity

RHO = np.array([0.9, 0.6, 0.4, 0.1])
S = np.array([3.0, 2.0, 1.0, 0.5])
T = np.array([1.0, 4.0, 0.7, 2.0])


@pytest.fixture
def exact():
    return oracles.exact_sample(300, RHO, S, T)


def rotation(size, seed=0):
    raw = np.random.default_rng(seed).normal(size=(size, size))
    return np.linalg.qr(raw)[0]


def test_the_exact_sample_scores_what_it_was_made_to(exact):
    x, y = exact
    norms = [np.sqrt((scale**4).sum()) for scale in (S, T)]
    cka = (S**2 * T**2 * RHO**2).sum() / (norms[0] * norms[1])
    found = similarity.cka(x, y, debiased=False)
    assert found.score == pytest.approx(cka, abs=1e-10)
    sizes = [np.sqrt((scale**2).sum()) for scale in (S, T)]
    cosine = (S * T * RHO).sum() / (sizes[0] * sizes[1])
    assert similarity.procrustes(x, y).score == pytest.approx(cosine, abs=1e-10)
    distance = similarity.shape_distance(x, y)
    assert distance == pytest.approx(np.arccos(cosine), abs=1e-10)
    whitened = similarity.shape_distance(x, y, alpha=0.0)
    assert whitened == pytest.approx(np.arccos(RHO.mean()), abs=1e-10)
    explained = (T**2 * RHO**2).sum() / (T**2).sum()
    found = similarity.linear_regression(x, y)
    assert found.score == pytest.approx(explained, abs=1e-10)
    explained = (S**2 * RHO**2).sum() / (S**2).sum()
    found = similarity.linear_regression(y, x)
    assert found.score == pytest.approx(explained, abs=1e-10)


def test_the_weights_of_pwcca_are_those_of_the_layer_named(exact):
    x, y = exact
    # The variates lie along the axes: a weight is that neuron's size.
    of_x, of_y = ((RHO * scale).sum() / scale.sum() for scale in (S, T))
    for weights, expected in (
        ("x", of_x),
        ("y", of_y),
        ("mean", (of_x + of_y) / 2),
    ):
        found = similarity.pwcca(x, y, weights).mean
        assert found == pytest.approx(expected, abs=1e-10)
    swapped = similarity.pwcca(y, x, "y").mean
    assert swapped == pytest.approx(of_x, abs=1e-10)
    with pytest.raises(ValueError, match="weights='z'.*x, y, mean"):
        similarity.pwcca(x, y, "z")


@pytest.mark.parametrize("sizes", [(12, 9), (9, 12)])
def test_pwcca_equals_its_definition_on_data(sizes):
    x, y = oracles.layers(num_datapoints=500, sizes=sizes)
    bases = []
    centred = [side - side.mean(0, dtype=np.float64) for side in (x, y)]
    for side in centred:
        bases.append(np.linalg.qr(side)[0])
    left, rho, _ = np.linalg.svd(bases[0].T @ bases[1], full_matrices=False)
    variates = bases[0] @ left
    weights = np.abs(variates.T @ centred[0]).sum(axis=1)
    expected = (weights * rho).sum() / weights.sum()
    assert similarity.pwcca(x, y).mean == pytest.approx(expected, abs=1e-10)


def test_kornbliths_published_figures():
    # Of the notebook to arXiv:1905.00414.
    np.random.seed(1337)
    x = np.random.randn(100, 10)
    y = np.random.randn(100, 10) + x
    biased = similarity.cka(x, y, debiased=False).score
    assert biased == pytest.approx(0.55761, abs=5e-6)
    assert similarity.cka(x, y).score == pytest.approx(0.51346, abs=5e-6)
    squared = similarity.cca(x, y, allow_small_n=True).mean_squared
    assert squared == pytest.approx(0.54540, abs=5e-6)  # Centred.


def debiased_cka_by_grams(x, y):
    """Song et al.'s estimator from n x n Grams without their diagonals."""

    def hsic(k, m):
        n = len(k)
        k, m = k - np.diag(np.diag(k)), m - np.diag(np.diag(m))
        return (
            np.trace(k @ m)
            + k.sum() * m.sum() / ((n - 1) * (n - 2))
            - 2 * (k.sum(0) @ m.sum(0)) / (n - 2)
        )

    grams = [side.astype(np.float64) @ side.T for side in (x, y)]
    return hsic(*grams) / np.sqrt(
        hsic(grams[0], grams[0]) * hsic(grams[1], grams[1])
    )


@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_debiased_cka_is_that_of_the_grams(offset):
    x, y = (
        side.astype(np.float64) for side in oracles.layers(num_datapoints=60)
    )
    expected = debiased_cka_by_grams(x - x.mean(0), y - y.mean(0))
    found = similarity.cka(x + offset, y - offset).score
    assert found == pytest.approx(expected, abs=1e-12)


def test_debiased_cka_is_the_same_in_any_batches_and_shards():
    x, y = oracles.layers(num_datapoints=90)
    x = x + 30.0
    expected = similarity.cka(x, y).score
    sizes = {"x": x.shape[1], "y": y.shape[1]}
    states = []
    for shard in range(3):
        state = similarity.RepresentationMoments(sizes)
        for start in range(30 * shard, 30 * shard + 30, 10):
            rows = slice(start, start + 10)
            state.update_state({"x": x[rows], "y": y[rows]})
        states.append(state)
    states[0].merge_state(states[1:])
    found = similarity.cka_from_moments(states[0].result(), "x", "y").score
    assert found == pytest.approx(expected, abs=1e-12)


def test_unrelated_layers_average_to_zero_and_may_be_negative():
    scores = [
        similarity.cka(*_noise(40, (30, 30), seed)).score for seed in range(60)
    ]
    assert min(scores) < 0
    assert abs(np.mean(scores)) < 4 * np.std(scores) / np.sqrt(60)


def test_more_neurons_than_images_are_no_obstacle_to_cka():
    x, y = _noise(30, (200, 50), 1)
    expected = debiased_cka_by_grams(x - x.mean(0), y - y.mean(0))
    assert similarity.cka(x, y).score == pytest.approx(expected, abs=1e-12)


MEASURES = {
    "cka": lambda x, y: similarity.cka(x, y).score,
    "biased cka": lambda x, y: similarity.cka(x, y, debiased=False).score,
    "procrustes": lambda x, y: similarity.procrustes(x, y).score,
    "shape": similarity.shape_distance,
}


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
@pytest.mark.parametrize("scale", [1e-5, 1.0, 1e5])
def test_rotation_scale_and_translation_do_not_matter(measure, scale):
    x, y = (side.astype(np.float64) for side in oracles.layers())
    moved = scale * (x @ rotation(12)) + 1000.0 * scale
    assert measure(moved, y) == pytest.approx(measure(x, y), abs=1e-8)


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_a_map_that_is_no_rotation_does_matter(measure):
    x, y = (side.astype(np.float64) for side in oracles.layers())
    stretched = x * np.linspace(0.2, 4, 12)
    assert abs(measure(stretched, y) - measure(x, y)) > 1e-3


def test_regression_ignores_maps_of_the_predictor_alone():
    x, y = (side.astype(np.float64) for side in oracles.layers())
    stretch = np.linspace(0.2, 4, 12)
    expected = similarity.linear_regression(x, y).score
    found = similarity.linear_regression(x * stretch + 3.0, y).score
    assert found == pytest.approx(expected, abs=1e-10)
    other = similarity.linear_regression(x, y * stretch[:9]).score
    assert abs(other - expected) > 1e-4


def test_regression_equals_least_squares():
    x, y = (side.astype(np.float64) for side in oracles.layers())
    design = np.column_stack([np.ones(len(x)), x])
    residual = y - design @ scipy.linalg.lstsq(design, y)[0]
    expected = 1 - (residual**2).sum() / ((y - y.mean(0)) ** 2).sum()
    found = similarity.linear_regression(x, y)
    assert found.score == pytest.approx(expected, abs=1e-10)
    assert found.null == pytest.approx(12 / 399)


def test_procrustes_is_the_best_rotation():
    x, y = (side.astype(np.float64) for side in oracles.layers(sizes=(9, 9)))
    x, y = (side - side.mean(0) for side in (x, y))
    x, y = (side / np.linalg.norm(side) for side in (x, y))
    turn, _ = scipy.linalg.orthogonal_procrustes(x, y)
    distance = np.linalg.norm(x @ turn - y) ** 2
    found = similarity.procrustes(x, y).score
    assert 2 - 2 * found == pytest.approx(distance, abs=1e-10)


def test_wide_layers_of_low_rank_gain_nothing_by_rounding():
    x, y = oracles.exact_sample(400, RHO, S, T)
    wide = [side @ rotation(300, seed)[:4] for seed, side in enumerate((x, y))]
    found = similarity.procrustes(*wide).score
    assert found == pytest.approx(similarity.procrustes(x, y).score, abs=1e-12)


def test_shape_distances_obey_the_triangle_inequality():
    layers = [_noise(80, (6, 6), seed)[0] for seed in range(6)]
    for alpha in (0.0, 0.5, 1.0):
        distance = {
            (i, j): similarity.shape_distance(layers[i], layers[j], alpha)
            for i in range(6)
            for j in range(6)
        }
        for i, j, k in np.ndindex(6, 6, 6):
            assert distance[i, k] <= distance[i, j] + distance[j, k] + 1e-9
    with pytest.raises(ValueError, match=r"alpha=1.5"):
        similarity.shape_distance(layers[0], layers[1], 1.5)


CONSTANT = {
    "cka": lambda x, y: similarity.cka(x, y),
    "procrustes": similarity.procrustes,
    "regression": similarity.linear_regression,
}


@pytest.mark.parametrize("measure", CONSTANT.values(), ids=CONSTANT)
@pytest.mark.parametrize("value", [0.0, 0.1, 1e6 / 3])
def test_a_constant_layer_is_undefined_with_a_note(measure, value):
    _, y = oracles.layers(num_datapoints=399)
    for pair in (
        (np.full((399, 12), value), y),
        (y, np.full((399, 12), value)),
    ):
        result = measure(*pair)
        assert np.isnan(result.score) and np.isnan(result.p_value)
        assert "constant on these datapoints" in result.notes[0]
    assert np.isnan(similarity.shape_distance(np.full((399, 2), value), y))


def test_three_datapoints_have_no_debiased_score_and_two_have_none():
    x, y = _noise(3, (2, 2), 0)
    for groups in (None, np.arange(3)):  # By Gram matrices, and by moments.
        with pytest.raises(ValueError, match="4 datapoints.*num_datapoints=3"):
            similarity.cka(x, y, groups)
        with pytest.raises(ValueError, match="3 datapoints.*num_datapoints=2"):
            rows = groups if groups is None else groups[:2]
            similarity.cka(x[:2], y[:2], rows, debiased=False)


def _noise(count, sizes, seed):
    generator = np.random.default_rng(seed)
    return [generator.normal(size=(count, size)) for size in sizes]


def _skewed(count, sizes, seed):
    """Unrelated layers with a few images of great weight, and offsets."""
    generator = np.random.default_rng(seed)
    heavy = generator.pareto(3.0, size=(count, 1))
    return [
        np.maximum(generator.normal(size=(count, size)) + 0.3, 0)
        * 2.0 ** -np.arange(size)
        * (1 + heavy)
        + 1.0
        for size in sizes
    ]


def permuted(x, y, score, count=600):
    generator = np.random.default_rng(9)
    return np.array(
        [score(x, y[generator.permutation(len(y))]) for _ in range(count)]
    )


@pytest.mark.parametrize("make", [_noise, _skewed])
def test_the_null_of_cka_is_that_of_permutations(make):
    x, y = make(60, (20, 8), 3)
    result = similarity.cka(x, y, debiased=False)
    x, y = (side - side.mean(0) for side in (x, y))
    size = np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)
    scores = permuted(x, y, lambda a, b: np.sum((a.T @ b) ** 2) / size)
    error = scores.std() / np.sqrt(len(scores))
    assert result.null == pytest.approx(scores.mean(), abs=4 * error)
    beyond = np.mean(scores >= result.score)
    assert result.p_value == pytest.approx(beyond, abs=0.08)
    assert similarity.cka(x, y).null == 0.0


@pytest.mark.parametrize("make", [_noise, _skewed])
def test_mean_and_variance_over_all_permutations_are_exact(make):
    x, y = (side - side.mean(0) for side in make(60, (7, 5), 3))
    grams = []
    for side in (x, y):
        gram = side @ side.T
        grams.append(
            similarity.null.GramMoments(
                np.trace(gram), np.sum(gram**2), np.sum(np.diag(gram) ** 2)
            )
        )
    mean, variance = similarity.null.permutation_moments(*grams, 60)
    scores = permuted(x, y, lambda a, b: np.sum((a.T @ b) ** 2), 4000)
    assert mean == pytest.approx(scores.mean(), abs=4 * scores.std() / 63)
    spread = ((scores - scores.mean()) ** 2).std() / 63
    assert variance == pytest.approx(scores.var(), abs=4 * spread)


@pytest.mark.parametrize("sizes", [(12, 9), (40, 40), (5, 80)])
def test_the_nulls_of_cca_are_those_of_permutations(sizes):
    x, y = oracles.layers(num_datapoints=400, sizes=sizes)
    result = similarity.cca(x, y, allow_small_n=True)
    level = similarity.null_level(x, y, num_permutations=60, allow_small_n=True)
    error = level.scores_squared.std() / np.sqrt(60)
    assert result.null_squared == pytest.approx(
        level.mean_squared, abs=4 * error
    )
    # Wachter's law is the limit of many directions.
    assert result.null == pytest.approx(level.mean, rel=0.04)
    assert result.p_value < 1e-6  # They share a signal.
    unrelated = similarity.cca(x, np.roll(y, 7, axis=0), allow_small_n=True)
    assert 0.001 < unrelated.p_value < 0.999
    assert abs(unrelated.adjusted) < 0.05
    assert result.adjusted == pytest.approx(
        (result.mean_squared - result.null_squared) / (1 - result.null_squared)
    )


def test_wachters_law_where_directions_must_meet():
    # Of 2 x 60 directions in 99 dimensions some are the same.
    x, y = _noise(100, (60, 60), 0)
    scores = oracles.cca_by_qr(x, y)
    expected = similarity.exchangeable_null_mean((60, 60), 100)
    assert expected == pytest.approx(scores.mean(), abs=0.01)
    assert similarity.exchangeable_null_mean((512, 512), 2000) == (
        pytest.approx(0.4416, abs=5e-4)
    )


def test_p_values_of_unrelated_layers_are_spread_evenly():
    values = [
        similarity.cka(*_noise(100, (10, 15), seed)).p_value
        for seed in range(200)
    ]
    for share in (0.05, 0.25, 0.5, 0.75):
        found = np.mean(np.array(values) < share)
        error = np.sqrt(share * (1 - share) / 200)
        assert found == pytest.approx(share, abs=4 * error)


def test_rows_of_one_image_are_no_news_to_the_null_level():
    x, y = _noise(50, (3, 4), 2)
    many = [np.repeat(side, 10, axis=0) for side in (x, y)]
    groups = np.repeat(np.arange(50), 10)
    grouped = similarity.cca(*many, groups)
    assert grouped.null_squared == similarity.cca(x, y).null_squared == 4 / 49
    assert similarity.cca(*many).null_squared == 4 / 499
    cka = [
        similarity.cka(*sides, rows, debiased=False)
        for sides, rows in (((x, y), None), (many, groups))
    ]
    assert cka[1].null == pytest.approx(cka[0].null)
    assert np.isnan(cka[1].p_value) and cka[0].p_value > 0
    with pytest.raises(ValueError, match=r"groups of shape \(3,\), 500 rows"):
        similarity.cca(*many, np.arange(3))


@pytest.mark.parametrize("debiased", [False, True])
def test_wide_layers_are_scored_by_their_grams_to_the_same_number(debiased):
    x, y = _skewed(40, (30, 25), 4)
    wide = similarity.cka(x, y, debiased=debiased)
    groups = np.arange(40)  # Each row an image, said aloud: by moments.
    narrow = similarity.cka(x, y, groups, debiased=debiased)
    assert wide.notes == ("from Gram matrices of 40 datapoints",)
    assert narrow.notes == ()
    for name in ("score", "null", "p_value"):
        expected = getattr(narrow, name)
        assert getattr(wide, name) == pytest.approx(expected, abs=1e-10)


def test_the_null_of_the_gaussian_kernel_is_that_of_permutations():
    x, y = _skewed(50, (5, 6), 1)
    result = similarity.cka(x, y, kernel="rbf", debiased=False)
    scores = permuted(
        x,
        y,
        lambda a, b: similarity.cka(a, b, kernel="rbf", debiased=False).score,
        150,
    )
    error = scores.std() / np.sqrt(150)
    assert result.null == pytest.approx(scores.mean(), abs=4 * error)
    beyond = np.mean(scores >= result.score)
    assert result.p_value == pytest.approx(beyond, abs=0.15)


def test_why_a_score_from_grams_is_undefined_is_told():
    dead = np.zeros([40, 3])
    dead[:9] = _noise(9, (3, 3), 1)[0]
    result = similarity.cka(dead, dead, kernel="rbf")
    assert np.isnan(result.score)
    assert result.notes[0].endswith("all equal, or half of them 0")
    apart = similarity.cka(np.eye(9), np.eye(9))
    assert np.isnan(apart.score)
    assert apart.notes[0].endswith("distances between them are all equal")


def test_kornbliths_figure_for_the_gaussian_kernel():
    np.random.seed(1337)
    x = np.random.randn(100, 10)
    y = np.random.randn(100, 10) + x
    found = similarity.cka(x, y, kernel="rbf", threshold=0.5, debiased=False)
    assert found.score == pytest.approx(0.65483, abs=5e-6)
    with pytest.raises(ValueError, match="kernel='cosine'.*linear, rbf"):
        similarity.cka(x, y, kernel="cosine")

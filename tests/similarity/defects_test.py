"""Where the tools before this one go wrong, and this one does not.

A test a defect. Each shows the number of a convention, or of the formula that
a tool is known to use, beside the truth from an independent definition.
"""

import numpy as np
import pytest

from tests.similarity import oracles
from transfusion_tf import similarity
from transfusion_tf.similarity import conventions


def layers(num_datapoints=1000, sizes=(12, 16)):
    sides = oracles.layers(num_datapoints, sizes)
    return [side.astype(np.float64) for side in sides]


def test_dead_and_duplicate_neurons():
    x, y = layers()
    spoilt = np.hstack([x, x[:, :1], np.zeros([1000, 1])])
    truth = oracles.cca_by_qr(x, y)
    ours = similarity.cca(spoilt, y)
    np.testing.assert_allclose(ours.coefficients, truth, atol=1e-12)
    with pytest.raises(ValueError, match="covariance is singular"):
        conventions.google_cca(spoilt, y)
    # With the usual epsilon the duplicate counts as a direction: 13 of 12.
    ridged = conventions.google_cca(spoilt, y, 1e-10)
    assert ridged.shape == (13,)
    assert truth.mean() - ridged.mean() > 0.03


def test_a_low_rank_layer_stored_in_float32():
    generator = np.random.default_rng(1)
    cause = np.maximum(generator.normal(size=(1000, 16)) + 0.5, 0)
    x = (cause @ generator.normal(size=(16, 64))).astype(np.float32)
    noise = generator.normal(size=(1000, 20))
    y = np.maximum(cause @ generator.normal(size=(16, 20)) + 3 * noise, 0)
    truth = oracles.cca_by_qr(cause, y)
    ours = similarity.cca(x, y)
    assert ours.rank == (16, 20)
    np.testing.assert_allclose(ours.coefficients, truth, atol=1e-7)
    for epsilon in (0, 1e-10, 1e-8):
        with pytest.raises(ValueError, match="covariance is singular"):
            conventions.google_cca(x, y, epsilon)
    ridged = conventions.google_cca(x, y, 1e-6)
    assert ridged.shape == (20,)
    assert truth.mean() - ridged.mean() > 0.05


@pytest.mark.parametrize("sizes", [(12, 16), (16, 12)])
def test_projection_weights(sizes):
    x, y = layers(sizes=sizes)
    truth = pwcca(x, y)
    ours = similarity.pwcca(x, y)
    assert ours.mean == pytest.approx(truth, abs=1e-10)
    assert similarity.pwcca(x, y, weights="y").mean == pytest.approx(
        pwcca(y, x), abs=1e-10
    )
    both = similarity.pwcca(x, y, weights="mean").mean
    assert both == pytest.approx((truth + pwcca(y, x)) / 2, abs=1e-10)
    assert abs(conventions.anatome_pwcca(x, y) - truth) > 0.01
    if sizes[0] > sizes[1]:
        with pytest.raises(ValueError, match="IndexError"):
            conventions.google_pwcca(x, y)
    else:
        assert abs(conventions.google_pwcca(x, y) - truth) > 0.001


def test_the_share_of_variance():
    # Two directions of large, ten of small but not negligible variance.
    rho = np.linspace(0.95, 0.05, 12)
    scales = np.array([20.0, 10.0, *np.linspace(6, 5, 10)])
    x, y = oracles.exact_sample(600, rho, scales, scales)
    ours = similarity.svcca(x, y)
    assert ours.rank == (12, 12)
    assert ours.mean == pytest.approx(rho.mean(), abs=1e-10)
    assert conventions.resi_svcca(x, y) == pytest.approx(rho[0], abs=1e-8)
    dropped = conventions.anatome_svcca(x, y)
    assert dropped == pytest.approx(rho[:-1].mean(), abs=1e-8)


def test_the_mean_is_of_all_coefficients():
    rho = np.array([0.8, 0.6, 0.5, 0.09, 0.01])
    x, y = oracles.exact_sample(200, rho, np.ones(5), np.ones(5))
    assert similarity.cca(x, y).mean == pytest.approx(0.4, abs=1e-10)
    trimmed = conventions.google_mean(conventions.google_cca(x, y))
    assert trimmed == pytest.approx(0.4975, abs=1e-10)


@pytest.mark.parametrize("factor", [1e-5, 0.03, 1e5])
@pytest.mark.parametrize(
    "score",
    [
        lambda x, y: similarity.cca(x, y).mean,
        lambda x, y: similarity.svcca(x, y).mean,
        lambda x, y: similarity.pwcca(x, y).mean,
        lambda x, y: similarity.cka(x, y).score,
        lambda x, y: similarity.procrustes(x, y).score,
        lambda x, y: similarity.linear_regression(x, y).score,
        similarity.shape_distance,
    ],
    ids="cca svcca pwcca cka procrustes regression shape".split(),
)
def test_the_scale_of_a_layer_does_not_matter(score, factor):
    x, y = layers()
    expected = score(x, y)
    assert score(factor * x, y) == pytest.approx(expected, abs=1e-9)
    assert score(x, factor * y) == pytest.approx(expected, abs=1e-9)


def test_the_scale_of_a_layer_matters_to_a_tool():
    x, y = layers()
    size = np.sqrt(np.sum((x - x.mean(0)) ** 2))
    change = conventions.resi_svcca(x / size, y) - conventions.resi_svcca(x, y)
    assert abs(change) > 0.1


@pytest.mark.parametrize("offset", [5, 100, 1000])
def test_features_of_a_large_mean_in_float32(offset):
    x, y = (
        (side + offset).astype(np.float32)
        for side in oracles.layers(64, (8, 6))
    )
    # In float64 too, less is lost where the mean is subtracted first.
    exact = [side - side.mean(0, dtype=np.float64) for side in (x, y)]
    truth = unbiased_hsic(*exact) / np.sqrt(
        unbiased_hsic(exact[0], exact[0]) * unbiased_hsic(exact[1], exact[1])
    )
    assert similarity.cka(x, y).score == pytest.approx(truth, abs=1e-8)
    # The tools' formula in float32, of Gram matrices that are not centred.
    with np.errstate(all="ignore"):
        theirs = unbiased_hsic(x, y) / np.sqrt(
            unbiased_hsic(x, x) * unbiased_hsic(y, y)
        )
    wrong = not abs(theirs - truth) < 1e-3
    assert wrong == (offset >= 100)


def test_negative_evidence_is_not_hidden():
    generator = np.random.default_rng(0)
    scores = np.array(
        [
            similarity.cka(*generator.normal(size=(2, 40, 5))).score
            for _ in range(200)
        ]
    )
    error = scores.std() / np.sqrt(len(scores))
    assert scores.min() < -0.02
    assert abs(scores.mean()) < 3 * error
    # Cut off at 0, independent layers score above 0 on average.
    assert np.maximum(scores, 0).mean() > 5 * error


def test_channels_are_neurons_and_positions_are_datapoints():
    generator = np.random.default_rng(0)
    x = np.maximum(generator.normal(size=(30, 5, 5, 8)) + 2, 0)
    y = np.maximum(x @ generator.normal(size=(8, 8)) + 1, 0)
    with pytest.raises(ValueError, match="sample_positions"):
        similarity.cka(x, y)
    rows = [similarity.sample_positions(s, 750, seed=0)[0] for s in (x, y)]
    for side, sampled in zip((x, y), rows, strict=True):
        ordered = np.sort(side.reshape(750, 8), axis=0)
        np.testing.assert_array_equal(np.sort(sampled, axis=0), ordered)
    truth = biased_cka(x.reshape(750, 8), y.reshape(750, 8))
    ours = similarity.cka(*rows, debiased=False).score
    assert ours == pytest.approx(truth, abs=1e-10)
    # A tool that takes channels for datapoints compares 8 points.
    assert abs(biased_cka(rows[0].T, rows[1].T) - truth) > 0.1
    with pytest.raises(ValueError, match="no more datapoints"):
        similarity.cca(rows[0].T, rows[1].T)


@pytest.mark.parametrize("measure", [similarity.cca, similarity.pwcca])
def test_too_few_datapoints(measure):
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(2, 100, 128))
    with pytest.raises(ValueError, match="1 by construction"):
        measure(x, y)
    x, y = generator.normal(size=(2, 128, 64))
    with pytest.raises(ValueError, match="mostly chance"):
        measure(x, y)
    # What the tools report in silence, for noise.
    assert conventions.google_cca(x, y).mean() == pytest.approx(
        0.637, abs=0.015
    )
    with pytest.warns(UserWarning, match="datapoints a direction"):
        result = measure(x, y, allow_small_n=True)
    assert result.mean == pytest.approx(0.637, abs=0.015)
    assert result.null == pytest.approx(0.637, abs=0.003)
    assert result.adjusted == pytest.approx(0, abs=0.02)
    assert result.p_value > 0.01
    assert result.notes


def test_the_divisor_is_the_smaller_rank():
    x, y = layers()
    part = y[:, :4] @ np.diag([1.0, 2.0, 3.0, 4.0])
    result = similarity.cca(part, y)
    assert result.rank == (4, 16)
    assert (result.mean, result.mean_squared) == pytest.approx((1, 1), abs=1e-9)
    # The root of the product of the ranks, where its name says so.
    angle = similarity.shape_distance(part, y, alpha=0.0)
    assert np.cos(angle) == pytest.approx(4 / np.sqrt(4 * 16), abs=1e-9)


def pwcca(x, y):
    """The definition: weights sum_j |<h_i, x_j>|, h_i canonical variables."""
    x, y = x - x.mean(0), y - y.mean(0)
    bases = [np.linalg.qr(side)[0] for side in (x, y)]
    left, coefficients, _ = np.linalg.svd(bases[0].T @ bases[1])
    variables = bases[0] @ left[:, : len(coefficients)]
    return np.average(coefficients, weights=np.abs(variables.T @ x).sum(1))


def unbiased_hsic(x, y):
    """Song et al. 2012, in the precision of what is given."""
    n = len(x)
    first, second = x @ x.T, y @ y.T
    np.fill_diagonal(first, 0)
    np.fill_diagonal(second, 0)
    return (
        np.sum(first * second)
        + first.sum() * second.sum() / ((n - 1) * (n - 2))
        - 2 * (first.sum(0) @ second.sum(0)) / (n - 2)
    ) / (n * (n - 3))


def biased_cka(x, y):
    grams = []
    for side in (x, y):
        centred = side - side.mean(0)
        grams.append(centred @ centred.T)
    norms = [np.linalg.norm(gram) for gram in grams]
    return np.sum(grams[0] * grams[1]) / (norms[0] * norms[1])

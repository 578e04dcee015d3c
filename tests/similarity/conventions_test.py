"""Each convention against a second formulation of what its tool does."""

import itertools
import pathlib
import re

import numpy as np
import pytest
import scipy.linalg

from tests.similarity import oracles
from transfusion_tf import similarity
from transfusion_tf.similarity import conventions

ALL = [
    conventions.google_cca,
    conventions.google_svcca,
    conventions.google_pwcca,
    conventions.anatome_svcca,
    conventions.anatome_pwcca,
    conventions.resi_svcca,
]


def layers(num_datapoints=640, sizes=(24, 30), seed=0):
    sides = oracles.layers(num_datapoints, sizes, seed)
    return [side.astype(np.float64) for side in sides]


def exact(scales, rho=(0.9, 0.7, 0.5, 0.3), num_datapoints=200):
    """Neurons of variance `scales`^2 / num_datapoints, means 0."""
    scales = np.asarray(scales)
    x, y = oracles.exact_sample(num_datapoints, rho, scales, scales)
    return x, y


def orthonormalized(columns):
    """Gram-Schmidt by Cholesky: column k from columns up to k only."""
    root = np.linalg.cholesky(columns.T @ columns)
    return scipy.linalg.solve_triangular(root, columns.T, lower=True).T


def weighted(weights, coefficients):
    return np.sum(weights * coefficients) / np.sum(weights)


def test_google_cca_is_the_definition_on_full_rank_data():
    x, y = layers()
    ours = conventions.google_cca(x, y)
    np.testing.assert_allclose(ours, oracles.cca_by_qr(x, y), atol=1e-12)
    np.testing.assert_allclose(ours, oracles.google_svcca(x, y), atol=1e-12)
    np.testing.assert_allclose(
        ours, similarity.cca(x, y).coefficients, atol=1e-9
    )


@pytest.mark.parametrize("epsilon", [1e-10, 1e-6, 1e-2])
def test_google_cca_with_a_ridge_solves_the_ridge_eigenproblem(epsilon):
    # Squared coefficients: eigenvalues of Sxx^-1 Sxy Syy^-1 Syx with ridges.
    x, y = layers()
    joint = np.cov(x.T, y.T)
    sxx, sxy, syy = joint[:24, :24], joint[:24, 24:], joint[24:, 24:]
    sxx = sxx + epsilon * np.abs(sxx).max() * np.eye(24)
    syy = syy + epsilon * np.abs(syy).max() * np.eye(30)
    squares = scipy.linalg.eigh(
        sxy @ np.linalg.solve(syy, sxy.T), sxx, eigvals_only=True
    )
    ours = conventions.google_cca(x, y, epsilon)
    np.testing.assert_allclose(ours**2, squares[::-1], atol=1e-10)
    assert np.all(ours <= conventions.google_cca(x, y) + 1e-12)


def test_google_cca_leaves_out_neurons_of_less_variance_than_epsilon():
    x, y = layers()
    faint = np.hstack([x, 1e-6 * y[:, :1]])
    np.testing.assert_allclose(
        conventions.google_cca(faint, y, 1e-10),
        conventions.google_cca(x, y, 1e-10),
        atol=1e-12,
    )
    assert conventions.google_cca(faint, y).shape == (25,)


def test_google_mean_by_hand():
    # Sums .8 1.4 1.9 1.99 2.0; 98 % of 2.0 is 1.96: four of five.
    assert conventions.google_mean([0.8, 0.6, 0.5, 0.09, 0.01]) == (
        pytest.approx(1.99 / 4)
    )
    # 0.9 of 1.0 does not do, all of it does.
    assert conventions.google_mean([0.9, 0.1]) == pytest.approx(0.5)
    assert conventions.google_mean([0.99, 0.01]) == pytest.approx(0.99)
    assert conventions.google_mean([0.4]) == pytest.approx(0.4)


def test_google_svcca_keeps_a_number_of_directions_not_a_share():
    x, y = exact([3.0, 2.0, 1.5, 1.0])
    for count, mean in ((1, 0.9), (2, 0.8), (3, 0.7), (4, 0.6)):
        score = conventions.google_svcca(x, y, num_directions=count)
        assert score == pytest.approx(mean, abs=1e-9)


def test_google_svcca_is_cca_of_the_projected_layers():
    x, y = layers()
    projected = []
    for side in (x, y):
        _, vectors = np.linalg.eigh(np.cov(side.T))
        projected.append(side @ vectors[:, -20:])
    assert conventions.google_svcca(x, y) == pytest.approx(
        oracles.cca_by_qr(*projected).mean(), abs=1e-8
    )


def test_google_svcca_has_the_ridge_of_the_tutorial():
    # A variance of 4e-10 of the largest, a ridge of 1e-10: 4/5 of the .5.
    x, y = exact([1.0, 2e-5], rho=(0.9, 0.5))
    score = conventions.google_svcca(x, y, num_directions=2)
    assert score == pytest.approx((0.9 + 0.8 * 0.5) / 2, abs=1e-6)
    assert similarity.cca(x, y).mean == pytest.approx(0.7, abs=1e-6)


def test_google_pwcca_of_centred_data_by_eigenvectors_and_cholesky():
    # Means of 0: the signs of singular vectors do not matter.
    x, y = (side - side.mean(0) for side in layers(sizes=(6, 8)))
    left, coefficients = whitened_singular_vectors(x, y)
    basis = orthonormalized(x @ left)
    expected = weighted(np.abs(basis.T @ x).sum(1), coefficients)
    assert conventions.google_pwcca(x, y) == pytest.approx(expected, abs=1e-9)
    assert abs(expected - pwcca(x, y)) > 1e-3


def test_google_pwcca_is_one_of_the_numbers_that_the_signs_allow():
    x, y = layers(sizes=(3, 4))
    left, coefficients = whitened_singular_vectors(x, y)
    allowed = []
    for signs in itertools.product([1, -1], repeat=3):
        directions = (x - x.mean(0)) @ (left * signs) + x.mean(0)
        basis = orthonormalized(directions)
        allowed.append(weighted(np.abs(basis.T @ x).sum(1), coefficients))
    distances = np.abs(np.array(allowed) - conventions.google_pwcca(x, y))
    assert distances.min() < 1e-9
    assert np.ptp(allowed) > 1e-3


def test_google_pwcca_depends_on_the_mean_and_the_definition_does_not():
    x, y = layers(sizes=(6, 8))
    moved = x + np.linspace(0, 9, 6)
    assert pwcca(moved, y) == pytest.approx(pwcca(x, y), abs=1e-9)
    change = conventions.google_pwcca(moved, y) - conventions.google_pwcca(x, y)
    assert abs(change) > 1e-3


def test_google_pwcca_refuses_what_ends_in_an_index_error_there():
    x, y = layers()
    with pytest.raises(ValueError, match=r"IndexError.*30 and 24 neurons"):
        conventions.google_pwcca(y, x)


def test_pwcca_conventions_in_closed_form():
    # Canonical variables along the neurons: google's are right by chance,
    # weights s; anatome's are the absolute sums of the neurons.
    scales, rho = np.array([3.0, 2.0, 1.0, 0.5]), np.array([0.9, 0.7, 0.5, 0.3])
    x, y = exact(scales, rho)
    expected = weighted(scales, rho)
    assert conventions.google_pwcca(x, y) == pytest.approx(expected, abs=1e-9)
    assert pwcca(x, y) == pytest.approx(expected, abs=1e-9)
    assert conventions.anatome_pwcca(x, y) == pytest.approx(
        weighted(np.abs(x).sum(0), rho), abs=1e-9
    )


@pytest.mark.parametrize("sizes", [(6, 8), (8, 6)])
def test_anatome_pwcca_by_a_generalized_eigenproblem(sizes):
    x, y = layers(sizes=sizes)
    joint = np.cov(x.T, y.T)
    size = sizes[0]
    sxx, sxy, syy = (
        joint[:size, :size],
        joint[:size, size:],
        joint[size:, size:],
    )
    squares, vectors = scipy.linalg.eigh(sxy @ np.linalg.solve(syy, sxy.T), sxx)
    count = min(sizes)
    coefficients = np.sqrt(squares[::-1][:count])
    basis = orthonormalized(vectors[:, ::-1][:, :count])
    expected = weighted(np.abs(x @ basis).sum(0), coefficients)
    assert conventions.anatome_pwcca(x, y) == pytest.approx(expected, abs=1e-9)
    assert abs(expected - pwcca(x, y)) > 1e-3


def test_anatome_svcca_in_closed_form():
    # Shares of the sum 7.5 of singular values: .4 .67 .87 1; of the sum 16.25
    # of squares: .55 .8 .94 1. The crossing direction is left out.
    x, y = exact([3.0, 2.0, 1.5, 1.0])
    for rate, mean in ((0.99, 0.7), (0.8, 0.8), (0.6, 0.9)):
        score = conventions.anatome_svcca(x, y, accept_rate=rate)
        assert score == pytest.approx(mean, abs=1e-9)
    assert similarity.svcca(x, y).mean == pytest.approx(0.6, abs=1e-9)


def test_anatome_svcca_by_uncentred_products():
    x, y = layers()
    kept = []
    for side in (x, y):
        squares, vectors = np.linalg.eigh(side.T @ side)
        values, vectors = np.sqrt(squares[::-1]), vectors[:, ::-1]
        shares = np.cumsum(values) / values.sum()
        kept.append(side @ vectors[:, shares < 0.9])
    assert min(side.shape[1] for side in kept) < 24
    assert conventions.anatome_svcca(x, y, 0.9) == pytest.approx(
        oracles.cca_by_qr(*kept).mean(), abs=1e-9
    )


def test_anatome_svcca_that_keeps_nothing_is_told():
    x, y = layers()
    with pytest.raises(ValueError, match=r"no direction.*'x'"):
        conventions.anatome_svcca(x + 1000, y)


def test_resi_svcca_keeps_one_component_of_activations_of_a_usual_size():
    x, y = layers()
    first = []
    for side in (x, y):
        _, vectors = np.linalg.eigh(np.cov(side.T))
        first.append(side @ vectors[:, -1])
    assert conventions.resi_svcca(x, y) == pytest.approx(
        abs(np.corrcoef(*first)[0, 1]), abs=1e-8
    )
    assert similarity.svcca(x, y).rank[0] > 10


@pytest.mark.parametrize("total", [1.0, 0.9, 0.5])
def test_resi_svcca_keeps_the_share_times_the_total_variance(total):
    # Right where the sum of squares is 1, and there alone.
    x, y = layers()
    x, y = (
        side * np.sqrt(total / np.sum((side - side.mean(0)) ** 2))
        for side in (x, y)
    )
    expected = similarity.svcca(x, y, variance=0.99 * total)
    assert conventions.resi_svcca(x, y) == pytest.approx(
        expected.mean, abs=1e-7
    )
    assert (expected.rank == similarity.svcca(x, y).rank) == (total == 1)


def test_figures_that_others_publish_for_gaussian_data():
    # Kornblith's colab: centred R2_CCA 0.54540 with these draws.
    state = np.random.RandomState(1337)
    x = state.randn(100, 10)
    y = state.randn(100, 10) + x
    squares = conventions.google_cca(x, y) ** 2
    assert np.mean(squares) == pytest.approx(0.54540, abs=5e-6)


def test_independent_noise_scores_high_in_silence():
    # Twice as many datapoints as neurons: 0.637 everywhere, by Wachter's law.
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(2, 512, 256))
    coefficients = conventions.google_cca(x, y)
    assert coefficients.mean() == pytest.approx(0.637, abs=0.003)


@pytest.mark.parametrize("convention", ALL)
def test_activations_that_do_not_fit_are_refused(convention):
    x, y = layers()
    with pytest.raises(ValueError, match=r"'x'.*shape=\(24,\)"):
        convention(x[0], y)
    with pytest.raises(ValueError, match="'x': 640, 'y': 639"):
        convention(x, y[:-1])
    y[3, 3] = np.nan
    with pytest.raises(ValueError, match=r"'y'.*1 of 19200 values NaN"):
        convention(x, y)


@pytest.mark.parametrize("convention", ALL)
def test_a_constant_layer_is_refused(convention):
    x, y = layers()
    with pytest.raises(ValueError, match="'y', whose 30 neurons never vary"):
        convention(x, np.full_like(y, 0.1))


def test_options_out_of_range_are_refused():
    x, y = layers()
    for epsilon in (-1e-9, 1.0, np.nan):
        with pytest.raises(ValueError, match=f"epsilon={epsilon}"):
            conventions.google_cca(x, y, epsilon)
    for count in (0, 25):
        with pytest.raises(ValueError, match="from 1 to 24"):
            conventions.google_svcca(x, y, count)
    for rate in (0, 1.01):
        with pytest.raises(ValueError, match=f"accept_rate={rate}"):
            conventions.anatome_svcca(x, y, rate)
    for coefficients in ([], [0.1, 0.2], [0.0], [0.3, -0.1], [[0.1]]):
        with pytest.raises(ValueError, match="descending"):
            conventions.google_mean(coefficients)


def test_too_few_datapoints_are_refused_where_the_tool_does():
    x, y = layers()
    with pytest.raises(ValueError, match=r"x of shape \(24, 24\)"):
        conventions.google_cca(x[:24], y[:24])
    with pytest.raises(ValueError, match=r"y of shape \(24, 30\)"):
        conventions.anatome_svcca(x[:24], y[:24])


def test_anatome_pwcca_of_a_dead_neuron_is_told():
    x, y = layers()
    x[:, 5] = 0
    with pytest.raises(ValueError, match="variance of zero"):
        conventions.anatome_pwcca(x, y)


def whitened_singular_vectors(x, y):
    """Left vectors, up to sign, and values of Sxx^-1/2 Sxy Syy^-1/2."""
    joint = np.cov(x.T, y.T)
    size = x.shape[1]
    root = scipy.linalg.sqrtm(np.linalg.inv(joint[:size, :size]))
    cross = root @ joint[:size, size:]
    square = cross @ np.linalg.solve(joint[size:, size:], cross.T)
    values, vectors = np.linalg.eigh((square + square.T) / 2)
    return vectors[:, ::-1], np.sqrt(values[::-1])


def pwcca(x, y):
    """The definition: weights sum_j |<h_i, x_j>|, h_i canonical variables."""
    x, y = x - x.mean(0), y - y.mean(0)
    bases = [np.linalg.qr(side)[0] for side in (x, y)]
    left, coefficients, _ = np.linalg.svd(bases[0].T @ bases[1])
    variables = bases[0] @ left[:, : len(coefficients)]
    return weighted(np.abs(variables.T @ x).sum(1), coefficients)


PAGE = pathlib.Path(conventions.__file__).with_name("README.md")
CODE = r"`((?:similarity|conventions|np)\.[^`]*)`"
# What LAPACK's choice of signs does to google's PWCCA on the example.
SIGNS = 0.012


def example():
    """The names that the page's own code defines."""
    names = {}
    exec(re.search(r"```python\n(.*?)```", PAGE.read_text(), re.S)[1], names)
    return names


def rows(width):
    """The cells of the page's table of so many columns."""
    table = []
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == width and re.search(CODE, line):
            table.append(cells)
    return table


def test_the_page_tells_the_numbers_of_the_conventions():
    names = example()
    table = rows(6)
    shown = " ".join(cells[2] for cells in table)
    for convention in [*ALL, conventions.google_mean]:
        assert f"conventions.{convention.__name__}(" in shown
    for cells in table:
        for code, number in (cells[2:4], cells[4:6]):
            value = eval(re.search(CODE, code)[1], names)
            tolerance = SIGNS if "google_pwcca" in code else 5.1e-4
            assert float(number) == pytest.approx(value, abs=tolerance), code


def test_the_page_tells_the_scores_and_null_levels_of_the_measures():
    names = example()
    for cells in rows(9):
        code = re.search(CODE, cells[0])[1]
        value = eval(code, names)
        assert float(cells[7]) == pytest.approx(value, abs=5.1e-4), code
        if not cells[8]:
            continue
        null = re.sub(r"\.(mean|score)(_squared)?$", r".null\2", code)
        level = float(cells[8])
        assert level == pytest.approx(eval(null, names), abs=5.1e-4), code
        permuted = names | {
            "y": np.random.default_rng(1).permutation(names["y"])
        }
        assert eval(code, permuted) == pytest.approx(level, abs=0.01), code


def test_the_page_tells_what_leaves_the_measures_unchanged():
    names = example()
    generator = np.random.default_rng(1)
    x, y = names["x"], names["y"]

    def rotation(size):
        return np.linalg.qr(generator.normal(size=(size, size)))[0]

    def invertible(size):
        scales = np.geomspace(0.1, 10, size)
        return rotation(size) * scales @ rotation(size)

    changes = [
        {"x": x @ invertible(64)},
        {"y": y @ invertible(96)},
        {"x": x @ rotation(64), "y": y @ rotation(96)},
        {"x": 1e-3 * x + 5, "y": 20 * y - np.arange(96)},
    ]
    for cells in rows(9):
        code = re.search(CODE, cells[0])[1]
        value = eval(code, names)
        told = [
            "no" if abs(eval(code, names | change) - value) > 1e-6 else "yes"
            for change in changes
        ]
        assert told == cells[3:7], code


def test_every_function_that_the_page_names_exists():
    names = re.findall(r"\b(similarity|conventions)\.(\w+)", PAGE.read_text())
    modules = {"similarity": similarity, "conventions": conventions}
    for module, name in set(names) - {("similarity", "conventions")}:
        assert hasattr(modules[module], name), name

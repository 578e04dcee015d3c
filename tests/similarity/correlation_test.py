import numpy as np
import pytest

from tests.similarity import oracles
from transfusion_tf import similarity
from transfusion_tf.similarity import moments


def test_exact_sample_gives_its_correlations():
    rho = np.linspace(0.95, 0.05, 8)
    scales = 10.0 ** np.linspace(0, -3, 8)
    x, y = oracles.exact_sample(300, rho, scales, scales[::-1])
    result = similarity.cca(x, y)
    np.testing.assert_allclose(result.coefficients, rho, atol=1e-10)
    assert result.mean == pytest.approx(rho.mean(), abs=1e-10)
    assert result.mean_squared == pytest.approx((rho**2).mean(), abs=1e-10)
    assert (result.rank, result.num_neurons) == ((8, 8), (8, 8))
    assert result.num_datapoints == 300


def test_svcca_of_the_exact_sample_keeps_the_leading_directions():
    # Variances 4, 4, 1, 1 (shares .4 .8 .9 1.): 75 % is in the first two.
    rho = np.array([0.9, 0.7, 0.5, 0.3])
    scales = np.array([2.0, 2.0, 1.0, 1.0])
    x, y = oracles.exact_sample(200, rho, scales, scales)
    result = similarity.svcca(x, y, variance=0.75)
    assert result.rank == (2, 2)
    np.testing.assert_allclose(result.coefficients, [0.9, 0.7], atol=1e-10)
    assert similarity.svcca(x, y, variance=0.85).rank == (3, 3)
    whole = similarity.svcca(x, y, variance=1.0)
    np.testing.assert_allclose(whole.coefficients, rho, atol=1e-10)


def test_svcca_does_not_depend_on_the_scale_of_the_variance():
    x, y = oracles.layers()
    expected = similarity.svcca(x, y)
    for factor in (1e-5, 1e5):
        result = similarity.svcca(x * np.float64(factor), y)
        assert result.rank == expected.rank
        assert result.mean == pytest.approx(expected.mean, abs=1e-10)


def test_cca_equals_the_definition_of_google_svcca():
    x, y = oracles.layers()
    np.testing.assert_allclose(
        similarity.cca(x, y).coefficients,
        oracles.google_svcca(x, y),
        atol=1e-12,
    )


def test_cca_equals_google_svcca_with_its_usual_epsilon_to_1e_8():
    x, y = oracles.layers()
    np.testing.assert_allclose(
        similarity.cca(x, y).coefficients,
        oracles.google_svcca(x, y, epsilon=1e-10),
        atol=1e-8,
    )


def test_cca_ignores_any_invertible_affine_map():
    x, y = oracles.layers(num_datapoints=700, sizes=(32, 20))
    generator = np.random.default_rng(3)
    left, right = (
        np.linalg.qr(generator.normal(size=(32, 32)))[0] for _ in range(2)
    )
    mix = left * 10.0 ** np.linspace(0, -3, 32) @ right
    result = similarity.cca(x.astype(np.float64) @ mix + 5.0, y)
    np.testing.assert_allclose(
        result.coefficients, similarity.cca(x, y).coefficients, atol=1e-8
    )


@pytest.mark.parametrize("measure", [similarity.cca, similarity.svcca])
@pytest.mark.parametrize("change", [(1, 7), (1, 1000), (1e-5, 0), (1e6, -3)])
def test_scale_and_translation_do_not_matter(measure, change):
    x, y = oracles.layers()
    scale, offset = change
    result = measure(x.astype(np.float64) * scale + offset, y)
    np.testing.assert_allclose(
        result.coefficients, measure(x, y).coefficients, atol=1e-9
    )


def test_svcca_ignores_rotations_but_not_every_invertible_map():
    x, y = oracles.layers()
    x = x.astype(np.float64)
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(12, 12)))[0]
    expected = similarity.svcca(x, y, 0.9).mean
    assert similarity.svcca(x @ rotation, y, 0.9).mean == pytest.approx(
        expected, abs=1e-10
    )
    stretched = similarity.svcca(x * np.arange(1.0, 13) ** 2, y, 0.9).mean
    assert abs(stretched - expected) > 1e-3


def test_cca_is_symmetric():
    x, y = oracles.layers()
    np.testing.assert_allclose(
        similarity.cca(x, y).coefficients,
        similarity.cca(y, x).coefficients,
        atol=1e-12,
    )


def test_a_layer_and_itself_score_one():
    x, _ = oracles.layers()
    result = similarity.cca(x, x)
    np.testing.assert_allclose(result.coefficients, 1.0, atol=1e-10)
    assert max(result.coefficients) <= 1.0


def test_single_neurons_give_the_size_of_pearsons_correlation():
    x, y = (side[:, :1] for side in oracles.layers())
    expected = np.corrcoef(x[:, 0], -y[:, 0])[0, 1]
    assert similarity.cca(x, -y).mean == pytest.approx(abs(expected), abs=1e-10)


def test_dead_and_duplicate_neurons_change_nothing():
    # Test A: 64 neurons, one dead and one duplicate; the truth has 62.
    x, y = oracles.layers(num_datapoints=5000, sizes=(62, 64), shared=30)
    spoilt = np.concatenate([x, np.zeros_like(x[:, :1]), x[:, :1]], axis=1)
    result = similarity.cca(spoilt, y)
    expected = oracles.cca_by_qr(x, y)
    assert result.rank == (62, 64)
    np.testing.assert_allclose(result.coefficients, expected, atol=1e-9)


def test_a_low_rank_layer_in_float32_has_its_true_rank():
    # Test B: rank 64 of 256 neurons, stored in float32.
    generator = np.random.default_rng(0)
    z, y = oracles.layers(num_datapoints=3000, sizes=(64, 96), shared=40)
    x = (z @ generator.normal(size=(64, 256))).astype(np.float32)
    result = similarity.cca(x, y)
    assert result.rank == (64, 96)
    assert result.mean == pytest.approx(
        oracles.cca_by_qr(z, y).mean(), abs=1e-6
    )


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6 / 3])
def test_a_constant_layer_is_undefined_with_a_note(value):
    _, y = oracles.layers()
    y = y[:399]  # A number of rows whose mean of 0.1 is not quite 0.1.
    constant = np.full((399, 12), value)
    result = similarity.cca(constant, y)
    assert np.isnan(result.mean) and np.isnan(result.mean_squared)
    assert result.rank[0] == 0 and result.coefficients.size == 0
    assert result.notes == ("undefined: 'x' constant on these datapoints",)
    assert similarity.cca(constant, constant).notes == (
        "undefined: 'x' and 'y' constant on these datapoints",
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_not_finite_activations_name_their_layer(bad):
    x, y = oracles.layers()
    y[3, 2] = bad
    with pytest.raises(ValueError, match=r"'y' are not finite\. .*1 of 3600"):
        similarity.cca(x, y)


def test_no_more_datapoints_than_directions_are_refused():
    x, y = oracles.layers(num_datapoints=13)
    for allow_small_n in (False, True):
        with pytest.raises(ValueError, match=r"1 by construction\. .*=13"):
            similarity.cca(x, y, allow_small_n=allow_small_n)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_two_to_four_datapoints_are_refused(count):
    x, y = oracles.layers(num_datapoints=count)
    with pytest.raises(ValueError, match="by construction|mostly chance"):
        similarity.cca(x[:, :1], y[:, :1])


def test_few_datapoints_are_refused_unless_asked_for():
    x, y = oracles.layers(num_datapoints=59)
    with pytest.raises(ValueError, match=r"mostly chance.*at least 60 data"):
        similarity.cca(x, y)
    with pytest.warns(UserWarning, match=r"4\.9 datapoints a direction"):
        result = similarity.cca(x, y, allow_small_n=True)
    assert "mean squared correlation of 0.207" in result.notes[0]


def test_between_5_and_20_datapoints_a_direction_warn_with_the_chance_level():
    x, y = oracles.layers(num_datapoints=121)
    with pytest.warns(UserWarning, match=r"10\.1 datapoints.*0\.100$"):
        similarity.cca(x, y)


@pytest.mark.parametrize(
    "measure",
    [
        similarity.cca,
        similarity.svcca,
        similarity.pwcca,
        similarity.linear_regression,
        lambda x, y: similarity.cca_from_moments(
            moments.moments_of_pair(x, y), "x", "y"
        ),
    ],
)
def test_a_warning_points_at_the_line_that_asked(measure):
    with pytest.warns(UserWarning, match="datapoints a dir") as caught:
        measure(*oracles.layers(num_datapoints=121))
    assert [warning.filename for warning in caught] == [__file__]


def test_enough_datapoints_do_not_warn(recwarn):
    assert similarity.cca(*oracles.layers()).notes == ()
    assert not recwarn.list


def test_mismatched_and_convolutional_activations_are_named():
    x, y = oracles.layers()
    with pytest.raises(ValueError, match=r"num_datapoints=\{'x': 399, 'y': 4"):
        similarity.cca(x[1:], y)
    with pytest.raises(ValueError, match=r"'x' have the wrong.*\(4, 2, 2, 3\)"):
        similarity.cca(np.ones([4, 2, 2, 3]), y)


@pytest.mark.parametrize("variance", [0.0, 1.5, -1.0])
def test_a_share_of_variance_out_of_range_is_refused(variance):
    with pytest.raises(ValueError, match=rf"variance={variance}"):
        similarity.svcca(*oracles.layers(), variance=variance)

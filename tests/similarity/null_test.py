import numpy as np
import pytest

from tests.similarity import oracles
from transfusion_tf import similarity


@pytest.mark.parametrize("sizes", [(12, 9), (5, 20)])
def test_mean_squared_null_is_the_closed_form_for_exchangeable_rows(sizes):
    x, y = oracles.layers(sizes=sizes)
    level = similarity.null_level(x, y, num_permutations=300)
    expected = max(sizes) / 399
    assert similarity.exchangeable_null_mean_squared(sizes, 400) == expected
    error = level.scores_squared.std(ddof=1) / np.sqrt(300)
    assert abs(level.mean_squared - expected) < 4 * error < 0.1 * expected


def test_null_of_the_mean_is_the_score_of_permuted_rows():
    x, y = oracles.layers()
    order = np.random.default_rng(5).permutation(400)
    level = similarity.null_level(x, y, num_permutations=1, seed=5)
    assert level.scores[0] == pytest.approx(
        similarity.cca(x, y[order]).mean, abs=1e-12
    )


def test_null_level_of_svcca_uses_its_directions():
    x, y = oracles.layers()
    order = np.random.default_rng(5).permutation(400)
    level = similarity.null_level(
        x, y, measure="svcca", variance=0.8, num_permutations=1, seed=5
    )
    assert level.mean == pytest.approx(
        similarity.svcca(x, y[order], 0.8).mean, abs=1e-12
    )


def test_copied_positions_count_as_one_image():
    # Each image's 10 rows are equal: the null is that of 40 rows, not 400.
    x, y = oracles.layers(num_datapoints=40, sizes=(3, 4))
    groups = np.repeat(np.arange(40), 10)
    level = similarity.null_level(
        np.repeat(x, 10, axis=0),
        np.repeat(y, 10, axis=0),
        groups,
        num_permutations=400,
    )
    assert level.num_groups == 40
    assert level.mean_squared == pytest.approx(4 / 39, rel=0.1)


def test_the_order_of_the_rows_does_not_matter():
    x, y = oracles.layers()
    groups = np.arange(400) // 4
    rows = np.concatenate([np.arange(200, 400), np.arange(200)])
    there = similarity.null_level(x, y, groups, seed=2)
    back = similarity.null_level(x[rows], y[rows], groups[rows], seed=2)
    np.testing.assert_allclose(there.scores, back.scores, atol=1e-12)


def test_null_levels_are_a_function_of_their_seed():
    x, y = oracles.layers()
    first, again, other = (
        similarity.null_level(x, y, seed=s, num_permutations=3).scores
        for s in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_where_chance_alone_scores_1_nothing_is_above_it():
    x, y = oracles.layers(sizes=(4, 3))
    result = similarity.cca(x, y, groups=np.arange(400) // 80)
    assert (result.null, result.null_squared) == (1.0, 1.0)
    assert np.isnan(result.adjusted)
    assert 0 < result.mean_squared < 1


def test_bad_input_to_the_null_level_is_named():
    x, y = oracles.layers()
    with pytest.raises(ValueError, match=r"measure='cka'.*cca, svcca"):
        similarity.null_level(x, y, measure="cka")
    with pytest.raises(ValueError, match=r"from 1 to 399 rows an image"):
        similarity.null_level(x, y, np.r_[0, np.ones(399)])
    with pytest.raises(ValueError, match=r"groups of shape \(3,\), 400 rows"):
        similarity.null_level(x, y, [0, 1, 2])
    with pytest.raises(ValueError, match=r"num_permutations=0"):
        similarity.null_level(x, y, num_permutations=0)
    with pytest.raises(ValueError, match=r"constant layer has no null.*'y'"):
        similarity.null_level(x, np.ones_like(y))
    with pytest.raises(ValueError, match=r"num_datapoints=5, rank=\(9, 2\)"):
        similarity.exchangeable_null_mean_squared((9, 2), 5)

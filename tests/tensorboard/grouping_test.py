import numpy as np
import pytest
import scipy.stats
from hypothesis import example, given
from hypothesis import strategies as st

from transfusion_tf.tensorboard import grouping
from transfusion_tf.tensorboard.grouping import Curve


def test_quantiles_are_those_of_scipy():
    degrees = [*range(1, 200), 500, 1_000, 100_000]
    np.testing.assert_allclose(
        [grouping.t_quantile(n) for n in degrees],
        scipy.stats.t.ppf(0.975, degrees),
        atol=5e-6,
    )


@pytest.mark.parametrize("num_seeds", [3, 5, 40])
def test_a_band_is_students_interval(num_seeds):
    values = np.random.default_rng(num_seeds).normal(size=[num_seeds, 4])
    band = grouping.band([Curve([0, 5, 9, 12], row) for row in values])
    low, high = scipy.stats.t.interval(
        0.95,
        num_seeds - 1,
        loc=values.mean(axis=0),
        scale=scipy.stats.sem(values, axis=0),
    )
    assert band.steps == [0, 5, 9, 12]
    np.testing.assert_allclose(band.mean, values.mean(axis=0))
    np.testing.assert_allclose(band.low, low, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(band.high, high, rtol=1e-5, atol=1e-5)


def test_a_band_is_of_the_steps_that_all_seeds_have():
    band = grouping.band(
        [
            Curve([0, 5, 9], [0, 1, 2]),
            Curve([0, 9], [3, 5]),
            Curve([0, 6, 9, 12], [6, 0, 8, 9]),
        ]
    )
    assert (band.steps, band.mean) == ([0, 9], [3.0, 5.0])


def test_below_three_seeds_there_is_no_mean():
    curve = Curve([0, 5], [0.5, 0.6])
    band = grouping.band([curve, curve])
    assert band == grouping.Band([0, 5], None, None, None)


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_an_undefined_value_makes_its_step_undefined_only(odd):
    band = grouping.band(
        [Curve([0, 5], [1, 1]), Curve([0, 5], [odd, 2]), Curve([0, 5], [1, 3])]
    )
    for ends in (band.mean, band.low, band.high):
        assert np.isnan(ends[0]) and np.isfinite(ends[1])


def test_folds_are_averaged_evaluation_by_evaluation():
    # The third fold is still training.
    averaged = grouping.average_folds(
        [
            Curve([0, 10, 20], [0.5, 0.6, 0.9]),
            Curve([0, 11, 22], [0.4, 0.8, 0.9]),
            Curve([0, 11], [0.6, 0.4]),
        ]
    )
    assert averaged.steps == [0, 11]
    np.testing.assert_allclose(averaged.values, [0.5, 0.6])


def info(seed, fold=None):
    return {"seed": seed, "fold": fold}


def test_runs_are_sorted_by_seed_and_folds_are_of_one_seed():
    seeds, left_out = grouping.runs_by_seed(
        {"d": info(1, "2/2"), "a": info(10), "b": info(1, "1/2")}
    )
    assert seeds == {1: ["b", "d"], 10: ["a"]}
    assert not left_out


def test_a_run_that_is_there_twice_is_left_out_and_said():
    seeds, left_out = grouping.runs_by_seed({"b": info(0), "a": info(0)})
    assert seeds == {0: ["a"]}
    assert "'a' are of one group, seed and fold" in left_out["b"]


def test_folds_of_different_numbers_are_not_averaged():
    seeds, left_out = grouping.runs_by_seed(
        {"a": info(0, "1/2"), "b": info(0, "1/3"), "c": info(0)}
    )
    assert seeds == {0: ["a"]}
    assert "fold=1/3 beside 1/2" in left_out["b"]
    assert "fold=None beside 1/2" in left_out["c"]


@pytest.mark.parametrize(
    ("run", "study"),
    [
        ("demo/runs/a", "demo"),
        ("demo/runs/a/similarity", "demo"),
        ("x/runs/demo/runs/a", "x/runs/demo"),
        ("runs/a", ""),
        ("a", ""),
        (".", ""),
        ("somewhere/else/a", "somewhere/else"),
        ("somewhere/runs", "somewhere"),
    ],
)
def test_a_run_is_of_the_study_around_its_runs_directory(run, study):
    assert grouping.study_of_run(run) == study


def test_what_is_beside_the_runs_is_of_the_innermost_study_around_it():
    studies = {"demo", "demo/inner", "dem"}
    around = grouping.study_around
    assert around("demo/comparisons/a", studies) == "demo"
    assert around("demo/inner/comparisons/a", studies) == "demo/inner"
    assert around("demo2/a", studies) == "demo2"
    assert around("comparisons/a", {""}) == ""


words = st.text(max_size=8)
keys = st.tuples(words, words, words, words)


# A file name that is not UTF-8 comes as lone surrogates.
@example(("\udcff", "m", "i", "t"), ("%FF", "m", "i", "t"))
@given(keys, keys)
def test_groups_that_differ_have_different_keys(first, second):
    def key(parts):
        study, *rest = parts
        named = dict(zip(("model", "init", "task"), rest, strict=True))
        return grouping.group_key(study, named)

    assert (key(first) == key(second)) == (first == second)
    key(first).encode()

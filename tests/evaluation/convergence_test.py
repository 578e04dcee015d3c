import pytest

from transfusion_tf import evaluation
from transfusion_tf.evaluation import StepsToThreshold


def censored(last_step):
    return StepsToThreshold(0.9, None, last_step)


def reached(steps):
    return StepsToThreshold(0.9, steps, 100)


def test_equal_to_the_threshold_is_not_above_it():
    result = evaluation.steps_to_threshold([1, 2, 3], [0.9, 0.91, 0.8], 0.9)
    assert result == StepsToThreshold(0.9, 2, 3)
    assert not result.is_censored


def test_the_first_crossing_counts_even_if_the_run_falls_back():
    assert evaluation.steps_to_threshold([5, 9], [0.95, 0.1], 0.9).steps == 5


def test_a_run_that_never_crosses_is_censored_at_its_last_step():
    result = evaluation.steps_to_threshold([10, 20], [0.5, 0.9], 0.9)
    assert result.is_censored
    assert str(result) == ">20"
    assert result.to_json() == {
        "threshold": 0.9,
        "steps": None,
        "last_step": 20,
    }


def test_paper_grid_gives_the_first_evaluation_above():
    # Evaluations every 1,001 steps; Figure 8's 8,008 is the eighth.
    steps = [1001 * k for k in range(1, 11)]
    values = [0.5 + 0.0527 * k for k in range(1, 11)]
    assert evaluation.steps_to_threshold(steps, values, 0.91).steps == 8008


def test_summary_of_runs_that_all_reach_is_median_and_mean():
    summary = evaluation.summarize_steps([reached(k) for k in (10, 20, 60)])
    assert (summary.median, summary.restricted_mean) == (20, 30)
    assert not summary.median_is_lower_bound
    assert not summary.restricted_mean_is_lower_bound
    assert str(summary) == "20 (3 of 3 reached)"


def test_a_censored_minority_leaves_the_median_exact_but_not_the_mean():
    summary = evaluation.summarize_steps(
        [reached(10), reached(20), censored(100)]
    )
    assert (summary.num_reached, summary.num_runs) == (2, 3)
    assert summary.median == 20 and not summary.median_is_lower_bound
    assert summary.restricted_mean == pytest.approx(130 / 3)
    assert summary.restricted_mean_is_lower_bound


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ([reached(10), censored(100)], ">55 (1 of 2 reached)"),
        ([censored(100), censored(100)], ">100 (0 of 2 reached)"),
        # Stopped at 15, it may have reached the threshold at any later step.
        (
            [reached(10), reached(20), censored(15)],
            ">15 (2 of 3 reached)",
        ),
    ],
)
def test_a_median_that_a_censored_run_could_move_is_a_lower_bound(
    runs, expected
):
    assert str(evaluation.summarize_steps(runs)) == expected


@pytest.mark.parametrize(
    ("steps", "values", "message"),
    [
        ([], [], r"0 steps, 0 values.*--eval_every_steps"),
        ([1, 2], [0.5], r"2 steps, 1 values"),
        ([2, 1], [0.5, 0.6], r"order of their steps.*steps=\[2, 1\]"),
        ([1, 2], [0.5, float("nan")], r"finite values"),
    ],
)
def test_bad_evaluations_are_named(steps, values, message):
    with pytest.raises(ValueError, match=message):
        evaluation.steps_to_threshold(steps, values, 0.9)


def test_runs_with_different_thresholds_are_not_summarized():
    other = StepsToThreshold(0.8, 5, 100)
    with pytest.raises(ValueError, match=r"2 runs, thresholds=\[0\.8, 0\.9\]"):
        evaluation.summarize_steps([reached(3), other])
    with pytest.raises(ValueError, match=r"0 runs, thresholds=\[\]"):
        evaluation.summarize_steps([])

import numpy as np
import pytest
from scipy import stats

from tests.evaluation.fabricate import predictions
from transfusion_tf import evaluation
from transfusion_tf.evaluation import Predictions


def ends(interval):
    return (interval.low, interval.high)


def accuracy_run(correct, patient, first_id=0):
    """Class predictions with the given right and wrong examples."""
    correct = np.asarray(correct, dtype=int)
    ids = np.arange(len(correct)) + first_id
    return Predictions(
        ids, np.asarray(patient), np.ones_like(correct), np.eye(2)[correct]
    )


def ordinary_bootstrap(run, num_resamples, seed=1):
    """One example at a time, scored by scikit-learn: slow and plain."""
    generator = np.random.default_rng(seed)
    values = []
    while len(values) < num_resamples:
        rows = generator.integers(run.num_examples, size=run.num_examples)
        if len(set(run.label[rows])) == 2:
            values.append(evaluation.auc(run.label[rows], run.score[rows]))
    return np.quantile(values, [0.025, 0.975])


def test_patient_interval_of_constant_patients_is_the_binomial_closed_form():
    # Every patient is wholly right or wholly wrong: the resampled accuracy is
    # Binomial(40, 0.7) / 40, however many images each patient has.
    right = np.r_[np.ones(28), np.zeros(12)]
    run = accuracy_run(np.repeat(right, 3), np.repeat(np.arange(40), 3))
    interval = evaluation.patient_interval(
        run, "accuracy", num_resamples=20_000
    )
    expected = stats.binom(40, 0.7).ppf([0.025, 0.975]) / 40
    assert interval.estimate == pytest.approx(0.7)
    np.testing.assert_allclose(ends(interval), expected, atol=0.0251)


def test_one_image_a_patient_is_the_ordinary_bootstrap():
    run = predictions(num_examples=80, per_patient=1)
    interval = evaluation.patient_interval(run, num_resamples=4000)
    np.testing.assert_allclose(
        ends(interval), ordinary_bootstrap(run, 1000), atol=0.02
    )


def test_copies_of_each_image_do_not_narrow_the_patient_interval():
    run = predictions(num_examples=60, per_patient=1)
    copies = Predictions(
        np.arange(240),
        np.repeat(run.patient, 4),
        np.repeat(run.label, 4),
        np.repeat(run.score, 4),
    )
    assert ends(evaluation.patient_interval(copies)) == pytest.approx(
        ends(evaluation.patient_interval(run)), abs=1e-12
    )


@pytest.mark.parametrize("metric", ["auc", "average_precision"])
def test_patient_interval_ignores_monotone_transforms_and_order(metric):
    run = predictions()
    order = np.random.default_rng(5).permutation(run.num_examples)
    arrays = run.to_arrays() | {"score": np.exp(run.score)}
    other = Predictions(**{k: v[order] for k, v in arrays.items()})
    assert ends(evaluation.patient_interval(other, metric)) == pytest.approx(
        ends(evaluation.patient_interval(run, metric)), abs=1e-12
    )


def test_patient_interval_is_a_function_of_its_seed():
    run = predictions()
    first = evaluation.patient_interval(run, seed=3)
    assert evaluation.patient_interval(run, seed=3) == first
    assert evaluation.patient_interval(run, seed=4) != first


def test_patient_interval_widens_with_its_level():
    run = predictions()
    narrow = evaluation.patient_interval(run, level=0.5)
    wide = evaluation.patient_interval(run, level=0.99)
    assert wide.low < narrow.low < narrow.high < wide.high


def test_resamples_with_one_class_are_drawn_again_and_counted():
    # One positive patient of 20: a resample lacks it with (1 - 1/20)^20.
    label = np.r_[1, np.zeros(19, int)]
    run = Predictions(np.arange(20), np.arange(20), label, label + 0.0)
    interval = evaluation.patient_interval(run, num_resamples=5000)
    missing = (1 - 1 / 20) ** 20
    assert ends(interval) == (1.0, 1.0)
    assert interval.num_redrawn / 5000 == pytest.approx(
        missing / (1 - missing), abs=0.05
    )
    assert evaluation.patient_interval(predictions()).num_redrawn == 0


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_seed_interval_is_students_t(level):
    values = [0.71, 0.74, 0.69, 0.77]
    interval = evaluation.seed_interval(values, level=level)
    expected = stats.t.interval(
        level, 3, loc=np.mean(values), scale=stats.sem(values)
    )
    np.testing.assert_allclose(ends(interval), expected, rtol=1e-12)
    assert interval.estimate == pytest.approx(np.mean(values))
    assert interval.method == "Student's t over 4 seeds"


def test_seed_interval_of_equal_runs_is_a_point():
    assert ends(evaluation.seed_interval([0.7] * 3)) == pytest.approx(
        (0.7, 0.7)
    )


def test_joint_interval_of_equal_runs_is_the_patient_interval():
    run = predictions()
    assert ends(evaluation.joint_interval([run] * 3)) == pytest.approx(
        ends(evaluation.patient_interval(run)), abs=1e-12
    )


def test_joint_interval_of_constant_patients_is_the_seed_bootstrap():
    # All examples of a run share one fate, so patients add no chance: what is
    # left is the mean of 3 drawn from {0, 0, 1}, Binomial(3, 1/3) / 3.
    runs = [accuracy_run([r] * 10, np.arange(10)) for r in (0, 0, 1)]
    interval = evaluation.joint_interval(
        runs, "accuracy", level=0.6, num_resamples=4000
    )
    expected = stats.binom(3, 1 / 3).ppf([0.2, 0.8]) / 3
    assert interval.estimate == pytest.approx(1 / 3)
    np.testing.assert_allclose(ends(interval), expected, atol=1e-12)


def test_joint_interval_holds_more_chance_than_the_patients_alone():
    runs = [predictions(seed=s, signal=s / 2) for s in range(4)]
    width = np.diff(ends(evaluation.joint_interval(runs)))
    mean_scores = np.mean([r.score for r in runs], axis=0)
    alone = Predictions(
        runs[0].example_id, runs[0].patient, runs[0].label, mean_scores
    )
    assert width > np.diff(ends(evaluation.patient_interval(alone)))


def test_an_arm_less_itself_is_exactly_zero():
    runs = [predictions(seed=s) for s in range(3)]
    interval = evaluation.joint_difference_interval(runs, runs)
    assert (interval.estimate, *ends(interval)) == (0.0, 0.0, 0.0)
    single = evaluation.patient_difference_interval(runs[0], runs[0])
    assert (single.estimate, *ends(single)) == (0.0, 0.0, 0.0)


def test_unpaired_seeds_of_an_arm_less_itself_leave_chance():
    runs = [predictions(seed=s, signal=s) for s in range(3)]
    interval = evaluation.joint_difference_interval(
        runs, runs, paired_seeds=False
    )
    assert interval.estimate == 0.0
    assert interval.low < -0.05 < 0.05 < interval.high


def test_swapping_arms_mirrors_the_difference():
    first = [predictions(seed=s, signal=2.0) for s in range(3)]
    second = [predictions(seed=s + 9, signal=0.5) for s in range(3)]
    there = evaluation.joint_difference_interval(first, second)
    back = evaluation.joint_difference_interval(second, first)
    np.testing.assert_allclose(
        (-back.estimate, -back.high, -back.low),
        (there.estimate, *ends(there)),
        atol=1e-12,
    )
    assert there.estimate > 0


def test_pairing_of_patients_narrows_the_difference_of_like_runs():
    run = predictions(num_examples=120)
    noise = np.random.default_rng(0).normal(size=120) * 0.1
    other = Predictions(
        run.example_id, run.patient, run.label, run.score + noise
    )
    paired = evaluation.patient_difference_interval(run, other)
    single = evaluation.patient_interval(run)
    assert np.diff(ends(paired)) < np.diff(ends(single)) / 2


def test_difference_equals_a_plain_loop_over_the_same_draws():
    first = [predictions(seed=s, signal=2.0) for s in range(3)]
    second = [predictions(seed=s + 9, signal=0.5) for s in range(3)]
    interval = evaluation.joint_difference_interval(
        first, second, num_resamples=50, seed=7
    )
    patients = np.unique(first[0].patient)
    counts = np.random.default_rng([7, 0]).multinomial(
        len(patients), np.full(len(patients), 1 / len(patients)), size=50
    )
    seeds = np.random.default_rng([7, 1]).integers(3, size=(3, 50))
    values = []
    for row, drawn in zip(counts, seeds.T, strict=True):
        rows = np.concatenate(
            [
                np.flatnonzero(first[0].patient == p)
                for p, count in zip(patients, row, strict=True)
                for _ in range(count)
            ]
        )
        label = first[0].label[rows]
        values.append(
            np.mean(
                [evaluation.auc(label, first[d].score[rows]) for d in drawn]
            )
            - np.mean(
                [evaluation.auc(label, second[d].score[rows]) for d in drawn]
            )
        )
    np.testing.assert_allclose(
        ends(interval), np.quantile(values, [0.025, 0.975]), atol=1e-12
    )


def test_intervals_below_three_seeds_are_refused():
    run = predictions()
    for refuse in (
        lambda: evaluation.seed_interval([0.7, 0.8]),
        lambda: evaluation.joint_interval([run, run]),
        lambda: evaluation.joint_difference_interval([run] * 3, [run] * 2),
    ):
        with pytest.raises(ValueError, match=r"at least 3 runs\. .*2 runs"):
            refuse()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"level": 1.0}, r"between 0 and 1\. Received: level=1\.0"),
        ({"num_resamples": 1}, r"Received: num_resamples=1"),
        ({"metric": "f1"}, r"Unknown metric\. Received: metric='f1'"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        evaluation.patient_interval(predictions(), **arguments)


def test_one_patient_and_one_class_are_refused():
    one = Predictions([0, 1], [4, 4], [0, 1], [0.1, 0.2])
    with pytest.raises(ValueError, match=r"Received: 1 patient with 2 ex"):
        evaluation.patient_interval(one)
    negatives = Predictions([0, 1], [0, 1], [0, 0], [0.1, 0.2])
    with pytest.raises(ValueError, match=r"undefined with one class"):
        evaluation.patient_interval(negatives)


def test_failed_runs_and_unpaired_arms_are_named():
    with pytest.raises(ValueError, match=r"metric is not finite.*nan"):
        evaluation.seed_interval([0.7, 0.8, float("nan")])
    run = predictions()
    with pytest.raises(ValueError, match=r"as many runs\. Received: 3 and 4"):
        evaluation.joint_difference_interval([run] * 3, [run] * 4)


def test_interval_tells_what_it_excludes_and_becomes_json():
    interval = evaluation.Interval(0.7, 0.6, 0.8, 0.95, "by hand")
    assert interval.excludes(0.5) and not interval.excludes(0.65)
    assert interval.to_json() == {
        "estimate": 0.7,
        "low": 0.6,
        "high": 0.8,
        "level": 0.95,
        "method": "by hand",
        "num_redrawn": 0,
    }

"""Metrics and intervals of several findings, known in part, over folds."""

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from transfusion_tf import evaluation
from transfusion_tf.evaluation.resampling import (
    draw_patient_counts,
    weighted_metric,
)

METRICS = {
    "auc": sklearn_metrics.roc_auc_score,
    "average_precision": sklearn_metrics.average_precision_score,
}


def fabricate(seed=0, num=240, num_findings=3, num_folds=4, signal=1.0):
    """Two images a patient; a tenth of the labels is not known."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(num // 2), 2)
    label = rng.integers(0, 2, (num, num_findings))
    score = rng.normal(size=label.shape) + signal * label
    label[rng.random(label.shape) < 0.1] = -1
    return evaluation.Predictions(
        example_id=np.arange(num),
        patient=patient,
        label=label,
        score=score,
        fold=patient % num_folds,
    )


def by_hand(name, run, weights=None):
    """Mean over findings of the mean over folds, by scikit-learn."""
    weights = np.ones(run.num_examples) if weights is None else weights
    of_findings = []
    for finding in range(run.label.shape[1]):
        of_folds = []
        for fold in np.unique(run.fold):
            known = (run.fold == fold) & (run.label[:, finding] >= 0)
            known &= weights > 0
            label = run.label[known, finding]
            if len(set(label)) == 2:
                of_folds.append(
                    METRICS[name](
                        label,
                        run.score[known, finding],
                        sample_weight=weights[known],
                    )
                )
        if of_folds:
            of_findings.append(np.mean(of_folds))
    return np.mean(of_findings)


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("num_folds", [1, 4])
def test_a_metric_is_the_mean_over_findings_of_the_mean_over_folds(
    name, num_folds
):
    run = fabricate(num_folds=num_folds)
    assert run.metric(name) == pytest.approx(by_hand(name, run), abs=1e-12)


@pytest.mark.parametrize("name", METRICS)
def test_weighted_metrics_are_those_of_scikit_learn(name):
    run = fabricate(num=60)
    weights = np.random.default_rng(1).integers(0, 3, (20, 60)).astype(float)
    weights[0] *= run.fold != 2  # A fold that is not drawn at all.
    expected = [by_hand(name, run, row) for row in weights]
    np.testing.assert_allclose(
        weighted_metric(name, run, weights), expected, atol=1e-12
    )


def test_scores_of_different_folds_are_never_ranked_together():
    run = fabricate()
    shifted = evaluation.Predictions(
        **(run.to_arrays() | {"score": run.score + 10.0 * run.fold[:, None]})
    )
    assert shifted.metric("auc") == run.metric("auc")
    merged = sklearn_metrics.roc_auc_score(
        run.label[run.label[:, 0] >= 0, 0],
        shifted.score[run.label[:, 0] >= 0, 0],
    )
    assert abs(merged - run.metric_of("auc", 0)) > 0.1


def test_a_finding_without_positives_has_no_part_in_the_mean():
    run = fabricate(num_folds=1)
    label = run.label.copy()
    label[label[:, 1] == 1, 1] = 0
    without = evaluation.Predictions(**(run.to_arrays() | {"label": label}))
    expected = np.mean([without.metric_of("auc", place) for place in (0, 2)])
    assert without.metric("auc") == pytest.approx(expected)
    described = without.describe_findings(["a", "b", "c"])
    assert described["b"]["auc"] is None
    assert described["b"]["num_positives"] == 0
    assert described["a"]["num_negatives"] == (label[:, 0] == 0).sum()


def test_nothing_defined_is_an_error():
    run = fabricate()
    label = np.minimum(run.label, 0)
    with pytest.raises(ValueError, match="auc is undefined"):
        evaluation.Predictions(**(run.to_arrays() | {"label": label})).metric(
            "auc"
        )


def test_each_fold_keeps_its_number_of_patients_in_every_resample():
    run = fabricate()
    counts, num_redrawn = draw_patient_counts(
        run, 50, np.random.default_rng(0), both_classes=False
    )
    assert num_redrawn == 0
    fold_of_patient = np.arange(120) % 4
    for fold in range(4):
        np.testing.assert_array_equal(
            counts[:, fold_of_patient == fold].sum(axis=1), 30
        )
    assert counts.std() > 0.5


def test_the_interval_covers_the_true_auc_as_often_as_it_says():
    # Of unit normals one standard deviation apart the AUC is Phi(1/sqrt 2).
    true = 0.7602499389065233
    covered = [
        evaluation.patient_interval(
            fabricate(seed, num=160, num_folds=2), num_resamples=200
        ).excludes(true)
        for seed in range(60)
    ]
    # 95 % intervals: 3 of 60 miss; more than 9 would be five errors off.
    assert sum(covered) <= 9


def test_resamples_without_a_finding_are_left_out_and_counted():
    label = np.zeros((40, 1), np.int64)
    label[:2] = 1  # Both positives are of one patient.
    run = evaluation.Predictions(
        example_id=np.arange(40),
        patient=np.arange(40) // 2,
        label=label,
        score=np.arange(40)[:, None] / 40,
    )
    interval = evaluation.patient_interval(run, num_resamples=2000)
    # A patient of 20 is missed by (19/20)^20 of the resamples.
    assert interval.num_redrawn / 2000 == pytest.approx(0.358, abs=0.05)
    assert np.isfinite([interval.low, interval.high]).all()


def test_folds_are_put_together_without_mixing_up_patients():
    runs = [fabricate(seed, num=20, num_folds=1) for seed in range(3)]
    folds = [
        evaluation.Predictions(
            **(run.to_arrays() | {"example_id": np.arange(20) * 3 + place})
        )
        for place, run in enumerate(runs)
    ]
    merged = evaluation.merge_folds(folds)
    assert merged.num_patients == 30
    np.testing.assert_array_equal(np.bincount(merged.fold), [20] * 3)
    expected = np.mean(
        [[run.metric_of("auc", k) for k in range(3)] for run in runs]
    )
    assert merged.metric("auc") == pytest.approx(expected)
    again = evaluation.Predictions.from_arrays(merged.to_arrays())
    np.testing.assert_array_equal(again.fold, merged.fold)
    with pytest.raises(ValueError, match="scored more than once"):
        evaluation.merge_folds([runs[0], runs[1]])


def test_one_finding_is_taken_where_it_is_known():
    run = fabricate()
    single = run.finding(1)
    assert single.num_examples == (run.label[:, 1] >= 0).sum()
    assert single.metric("auc") == run.metric_of("auc", 1)
    two = run.with_findings([2, 0])
    assert two.metric_of("auc", 0) == run.metric_of("auc", 2)


def test_top_5_accuracy_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    label, score = rng.integers(0, 9, 200), rng.random((200, 9))
    expected = sklearn_metrics.top_k_accuracy_score(
        label, score, k=5, labels=np.arange(9)
    )
    assert evaluation.top5_accuracy(label, score) == pytest.approx(expected)
    run = evaluation.Predictions(
        example_id=np.arange(200),
        patient=np.arange(200),
        label=label,
        score=score,
    )
    interval = evaluation.patient_interval(run, "top5_accuracy")
    assert interval.low < expected < interval.high

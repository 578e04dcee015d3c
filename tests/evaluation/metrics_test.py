import numpy as np
import pytest

from tests.evaluation.fabricate import predictions
from transfusion_tf import evaluation
from transfusion_tf.evaluation import metrics
from transfusion_tf.evaluation.resampling import weighted_metric


def auc_by_pairs(labels, scores):
    """The definition: the share of pairs won, a tie counting one half."""
    won = [
        float(p > n) + 0.5 * (p == n)
        for p in scores[labels == 1]
        for n in scores[labels == 0]
    ]
    return np.mean(won)


@pytest.mark.parametrize("num_levels", [None, 1, 3])
def test_auc_is_the_share_of_pairs_won_with_ties_one_half(num_levels):
    run = predictions(num_levels=num_levels)
    assert evaluation.auc(run.label, run.score) == pytest.approx(
        auc_by_pairs(run.label, run.score), abs=1e-12
    )


def test_auc_and_average_precision_ignore_monotone_transforms():
    run = predictions()
    for metric in (evaluation.auc, evaluation.average_precision):
        assert metric(run.label, np.exp(3 * run.score)) == metric(
            run.label, run.score
        )


def test_auc_of_negated_scores_is_one_minus_auc():
    run = predictions(num_levels=2)
    assert evaluation.auc(run.label, -run.score) == pytest.approx(
        1 - evaluation.auc(run.label, run.score), abs=1e-12
    )


def test_average_precision_of_constant_scores_is_the_share_of_positives():
    assert evaluation.average_precision(
        [1, 0, 0, 0, 1], [0.5] * 5
    ) == pytest.approx(0.4)


def test_average_precision_is_the_mean_precision_at_each_positive():
    # Ranks of the positives: 1, 3, 4.
    value = evaluation.average_precision([1, 0, 1, 1, 0], [5, 4, 3, 2, 1])
    assert value == pytest.approx((1 / 1 + 2 / 3 + 3 / 4) / 3)


def test_accuracy_counts_the_examples_whose_class_has_the_highest_score():
    scores = np.eye(3)[[0, 1, 2, 2]]
    assert evaluation.accuracy([0, 1, 2, 0], scores) == 0.75


def test_compute_metric_names_the_function():
    run = predictions()
    assert evaluation.compute_metric(
        "average_precision", run.label, run.score
    ) == evaluation.average_precision(run.label, run.score)


@pytest.mark.parametrize("name", ["auc", "average_precision"])
@pytest.mark.parametrize("num_levels", [None, 2])
def test_weighted_metrics_equal_scikit_learn_with_sample_weight(
    name, num_levels
):
    from sklearn import metrics as sklearn_metrics

    run = predictions(num_levels=num_levels)
    weights = np.random.default_rng(1).integers(0, 4, (20, 60)).astype(float)
    function = {
        "auc": sklearn_metrics.roc_auc_score,
        "average_precision": sklearn_metrics.average_precision_score,
    }[name]
    expected = [
        function(run.label, run.score, sample_weight=w) for w in weights
    ]
    np.testing.assert_allclose(
        weighted_metric(name, run, weights), expected, atol=1e-12
    )


def test_weighted_accuracy_equals_scikit_learn_with_sample_weight():
    from sklearn import metrics as sklearn_metrics

    generator = np.random.default_rng(2)
    scores = generator.random((30, 4))
    run = evaluation.Predictions(
        np.arange(30), np.arange(30), generator.integers(0, 4, 30), scores
    )
    weights = generator.integers(0, 3, (10, 30)).astype(float)
    expected = [
        sklearn_metrics.accuracy_score(
            run.label, scores.argmax(1), sample_weight=w
        )
        for w in weights
    ]
    np.testing.assert_allclose(
        weighted_metric("accuracy", run, weights), expected, atol=1e-12
    )


@pytest.mark.parametrize("name", ["auc", "average_precision"])
def test_one_class_is_an_error_that_says_so(name):
    with pytest.raises(ValueError, match=r"undefined with one class\. .*3 ex"):
        evaluation.compute_metric(name, [1, 1, 1], [0.1, 0.2, 0.3])


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        ([0, 1], [0.1, 0.2, 0.3], r"must be as many\. Received: labels of"),
        ([], [], r"nothing to score\. Received: 0 examples"),
        ([0, 1], [0.1, np.nan], r"1 of 2 scores NaN.*position 1"),
        ([0, 2], [0.1, 0.2], r"needs labels 0 and 1\. Received: labels=\[0, 2"),
        ([0, 0.5], [0.1, 0.2], r"must be whole numbers"),
        ([0, 1], [[0.1, 0.9]] * 2, r"one score an example.*\(2, 2\)"),
    ],
)
def test_bad_input_to_auc_is_named(labels, scores, message):
    with pytest.raises(ValueError, match=message):
        evaluation.auc(labels, scores)


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        ([0, 1], [0.1, 0.2], r"one score a class\. Received: .*\(2,\)"),
        ([0, 2], [[0.1, 0.9]] * 2, r"label has no score.*from 0 to 2"),
    ],
)
def test_bad_input_to_accuracy_is_named(labels, scores, message):
    with pytest.raises(ValueError, match=message):
        evaluation.accuracy(labels, scores)


def test_unknown_metric_lists_the_choices():
    with pytest.raises(ValueError, match=r"metric='f1'.*auc, average_prec"):
        evaluation.compute_metric("f1", [0, 1], [0, 1])
    assert set(metrics.METRIC_NAMES) == {
        "auc",
        "average_precision",
        "accuracy",
        "top5_accuracy",
    }

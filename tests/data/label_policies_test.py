import numpy as np
import pytest

from transfusion_tf import data
from transfusion_tf.raw import label_states

FINDINGS = ("Atelectasis", "Cardiomegaly")
# Positive, negative, uncertain, unmentioned; the same of both findings.
RAW = np.array([[1, 1], [0, 0], [-1, -1], [-2, -2]], np.int8)
IMAGES = ["a", "b", "c", "d"]


def targets(policy, blank=None, **kwargs):
    policy = data.LabelPolicy.parse(policy, blank)
    return policy.training_targets(RAW, FINDINGS, IMAGES, **kwargs)


# Irvin et al. 2019, section 3; columns as FINDINGS.
@pytest.mark.parametrize(
    ("policy", "uncertain", "weight"),
    [
        ("u_ignore", None, [0, 0]),
        ("u_zeros", [0, 0], [1, 1]),
        ("u_ones", [1, 1], [1, 1]),
        ("u_mixed", [1, 0], [1, 1]),
    ],
)
def test_uncertain_labels_count_as_the_policy_says(policy, uncertain, weight):
    made = targets(policy)
    certain = [[1, 1], [0, 0], [0, 0]]
    np.testing.assert_array_equal(made["target"][[0, 1, 3]], certain)
    np.testing.assert_array_equal(made["weight"][[0, 1, 3]], 1)
    np.testing.assert_array_equal(made["weight"][2], weight)
    if uncertain is not None:
        np.testing.assert_array_equal(made["target"][2], uncertain)
    assert made["target"].dtype == made["weight"].dtype == np.float32


@pytest.mark.parametrize("policy", ["u_zeros", "u_ignore", "u_multiclass"])
def test_blanks_are_negative_or_masked_whatever_the_policy(policy):
    for blank, weight in (("zero", 1), ("mask", 0)):
        made = targets(policy, blank)
        np.testing.assert_array_equal(made["weight"][3], weight)
        np.testing.assert_array_equal(made["target"][3], 0)
        np.testing.assert_array_equal(made["weight"][:2], 1)


def test_three_classes_are_negative_positive_uncertain():
    made = targets("u_multiclass")
    np.testing.assert_array_equal(made["target"][:, 0], [1, 0, 2, 0])
    assert made["target"].dtype == np.int64
    assert data.LabelPolicy.parse("u_multiclass", None).loss == "multiclass"


def test_smooth_targets_are_uniform_in_their_ranges_and_never_change():
    raw = np.full([4000, 2], -1, np.int8)
    names = [f"image{number}" for number in range(4000)]
    policy = data.LabelPolicy.parse("u_smooth", None)
    made = policy.training_targets(raw, FINDINGS, names)["target"]
    for column, (low, high) in enumerate([(0.55, 0.85), (0.0, 0.3)]):
        values = made[:, column]
        assert low <= values.min() < low + 0.005
        assert high - 0.005 < values.max() <= high
        # Five standard errors of a uniform mean.
        error = (high - low) / np.sqrt(12 * 4000)
        assert values.mean() == pytest.approx((low + high) / 2, abs=5 * error)
    order = np.random.default_rng(0).permutation(4000)
    again = policy.training_targets(
        raw, FINDINGS, [names[place] for place in order]
    )
    np.testing.assert_array_equal(again["target"], made[order])


def test_self_training_takes_probabilities_for_uncertain_labels_alone():
    predicted = np.linspace(0.1, 0.8, 8).reshape(4, 2)
    made = targets("u_selftrained=file.npz", predicted=predicted)
    expected = [[1, 1], [0, 0], predicted[2], [0, 0]]
    np.testing.assert_allclose(made["target"], expected, rtol=1e-6)
    np.testing.assert_array_equal(made["weight"], 1)


@pytest.mark.parametrize(
    ("blank", "expected"), [("zero", [1, 0, -1, 0]), ("mask", [1, 0, -1, -1])]
)
def test_what_is_uncertain_is_never_scored(blank, expected):
    for policy in ("u_ones", "u_zeros", "u_multiclass"):
        known = data.LabelPolicy.parse(policy, blank).known_labels(RAW)
        np.testing.assert_array_equal(known[:, 0], expected)


def test_scores_are_the_sigmoid_and_of_three_classes_the_binary_softmax():
    logits = np.array([[0.0, np.log(3.0)]])
    scores = data.LabelPolicy.parse("u_ones", None).scores(logits)
    np.testing.assert_allclose(scores, [[0.5, 0.75]])
    # Irvin et al.: softmax over negative and positive, uncertain left out.
    probabilities = np.array([[[0.1, 0.3, 0.6], [0.2, 0.2, 0.6]]])
    policy = data.LabelPolicy.parse("u_multiclass", None)
    scores = policy.scores(np.log(probabilities).reshape(1, 6))
    np.testing.assert_allclose(scores, [[0.75, 0.5]])


def test_counts_of_states_and_of_targets():
    counts = label_states.count_states(RAW, FINDINGS)
    assert counts["Cardiomegaly"] == {
        "positive": 1,
        "negative": 1,
        "uncertain": 1,
        "unmentioned": 1,
    }
    described = data.describe_targets(targets("u_ignore", "mask"), FINDINGS)
    assert described["Atelectasis"] == {"num_learnt": 2, "mean_target": 0.5}


@pytest.mark.parametrize(
    ("policy", "blank", "message"),
    [
        ("ones", None, "label_policy='ones'.*u_ignore, u_zeros"),
        ("u_selftrained", None, "u_selftrained=FILE"),
        ("u_ones=file", None, "label_policy='u_ones=file'"),
        (None, "one", "--blank=zero or --blank=mask"),
    ],
)
def test_an_unknown_policy_is_refused(policy, blank, message):
    with pytest.raises(ValueError, match=message):
        data.LabelPolicy.parse(policy, blank)

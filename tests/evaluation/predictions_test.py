import numpy as np
import pytest

from tests.evaluation.fabricate import predictions
from transfusion_tf import evaluation
from transfusion_tf.evaluation.predictions import align


def make(**changes):
    arrays = {
        "example_id": [5, 3, 9],
        "patient": [1, 1, 2],
        "label": [0, 1, 1],
        "score": [0.1, 0.2, 0.3],
    }
    return evaluation.Predictions(**{**arrays, **changes})


def test_arrays_make_the_round_trip():
    run = predictions()
    again = evaluation.Predictions.from_arrays(run.to_arrays())
    for name, values in run.to_arrays().items():
        np.testing.assert_array_equal(getattr(again, name), values)


def test_dtypes_are_those_of_the_record():
    dtypes = {k: v.dtype.name for k, v in make().to_arrays().items()}
    assert dtypes == {
        "example_id": "int64",
        "patient": "int64",
        "label": "int64",
        "score": "float64",
    }


def test_sorted_moves_every_array_with_the_ids():
    run = make().sorted()
    np.testing.assert_array_equal(run.example_id, [3, 5, 9])
    np.testing.assert_array_equal(run.label, [1, 0, 1])
    np.testing.assert_array_equal(run.score, [0.2, 0.1, 0.3])


def test_counts_of_examples_and_patients():
    assert (make().num_examples, make().num_patients) == (3, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"example_id": [5, 5, 9]}, r"more than once\. Received: .*\[5\]"),
        ({"example_id": [5, -1, 9]}, r"Padding stands.*1 negative example"),
        ({"patient": [1, 1]}, r"`patient` must hold one whole number"),
        ({"patient": [0.5, 1, 1]}, r"`patient` must hold.*float64"),
        ({"score": [0.1, np.inf, 0.2]}, r"not a finite number"),
    ],
)
def test_bad_arrays_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        make(**changes)


def test_missing_arrays_are_named():
    with pytest.raises(ValueError, match=r"lack label, score\. Received"):
        evaluation.Predictions.from_arrays({"example_id": [0], "patient": [0]})


def test_align_orders_runs_alike():
    run = predictions()
    order = np.random.default_rng(0).permutation(run.num_examples)
    shuffled = evaluation.Predictions(
        **{k: v[order] for k, v in run.to_arrays().items()}
    )
    first, second = align([run, shuffled])
    np.testing.assert_array_equal(first.score, second.score)


def test_align_refuses_runs_on_other_examples():
    with pytest.raises(ValueError, match=r"run 0 and run 1 differ in exam"):
        align([make(), make(example_id=[5, 3, 8])])
    with pytest.raises(ValueError, match=r"run 0 and run 1 differ in label"):
        align([make(), make(label=[0, 1, 0])])

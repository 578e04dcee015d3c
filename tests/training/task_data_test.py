import dataclasses

import numpy as np
import pytest

from tests.data.fake_splits import fake_split
from transfusion_tf import data, training

KEY = training.TaskDataKey.of(
    training.TrainConfig(
        task="synthetic_fundus_referable", image_size=8, data_dir="/data"
    )
)


@pytest.fixture
def three_splits(monkeypatch):
    """Splits of patients of their own, in place of prepared data."""
    splits = {name: fake_split(10, name=name) for name in data.SPLIT_NAMES}
    monkeypatch.setattr(data, "given_splits", lambda task, **_: tuple(splits))
    monkeypatch.setattr(
        data, "open_split", lambda task, name, **kwargs: splits[name]
    )
    return splits


def test_a_patient_in_train_and_test_stops_it_all(three_splits):
    training.TaskData(KEY).check_disjoint()
    patients = three_splits["test"].patients
    three_splits["test"] = dataclasses.replace(
        three_splits["test"],
        patients=np.where(patients == "test3", "train5", patients),
    )
    with pytest.raises(ValueError, match="train and test.*train5"):
        training.TaskData(KEY).check_disjoint()


def test_only_the_train_split_is_cut_down(three_splits):
    key = dataclasses.replace(KEY, num_train_examples=6)
    run_data = training.TaskData(key)
    counts = [
        run_data.reader(name).split.num_examples for name in data.SPLIT_NAMES
    ]
    assert counts == [6, 20, 20]
    summary = run_data.summary()
    assert summary["train"]["num_patients"] == 3
    assert summary["test"]["sha256"] == three_splits["test"].sha256


def test_eyes_of_a_patient_share_a_number_that_the_name_does_not_give_away(
    three_splits,
):
    run_data = training.TaskData(KEY)
    logits = np.zeros([20, 5])
    predictions = run_data.predictions(run_data.test, np.arange(20), logits)
    numbers = predictions.patient.reshape(10, 2)
    np.testing.assert_array_equal(numbers[:, 0], numbers[:, 1])
    assert set(numbers[:, 0].tolist()) == set(range(10))
    assert numbers[:, 0].tolist() != list(range(10))
    np.testing.assert_allclose(predictions.score, 0.6)
    np.testing.assert_array_equal(
        predictions.label, three_splits["test"].labels >= 2
    )

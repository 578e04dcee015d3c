import dataclasses

import numpy as np
import pytest

from tests.data.fake_splits import fake_split
from transfusion_tf import data


def given(*names: str, num_patients: int = 500) -> dict[str, data.Split]:
    return {name: fake_split(num_patients, name=name) for name in names}


def test_three_splits_are_left_alone():
    splits = given("train", "validation", "test")
    parts, rule = data.complete(splits)
    assert parts == splits
    assert rule == "The data set's own splits."


@pytest.mark.parametrize(
    ("names", "scored", "shares"),
    [
        (("train", "test"), "test", {"train": 0.9, "validation": 0.1}),
        # CheXpert, ImageNet: what they call validation is scored.
        (
            ("train", "validation"),
            "validation",
            {"train": 0.9, "validation": 0.1},
        ),
        (
            ("train",),
            None,
            {"train": 0.8, "validation": 0.1, "test": 0.1},
        ),
    ],
)
def test_what_is_missing_is_held_out_of_train_by_patient(names, scored, shares):
    splits = given(*names)
    parts, rule = data.complete(splits)
    assert set(parts) == {"train", "validation", "test"}
    assert {part.name for part in parts.values()} == set(parts)
    data.check_patients_disjoint(list(parts.values()))
    if scored:
        np.testing.assert_array_equal(
            parts["test"].image_ids, splits[scored].image_ids
        )
    dealt = np.concatenate([parts[name].example_ids for name in shares])
    np.testing.assert_array_equal(np.sort(dealt), splits["train"].example_ids)
    for name, share in shares.items():
        # Four standard errors of a share of 500 patients.
        found = parts[name].num_patients / 500
        assert found == pytest.approx(share, abs=4 * 0.0134)
    assert "tenth" in rule


def test_who_is_held_out_does_not_depend_on_the_other_patients():
    splits = given("train", "test")
    held_out = set(data.complete(splits)[0]["validation"].patients)
    half = splits["train"].take(np.arange(0, 1000, 2))
    again = data.complete(splits | {"train": half})[0]["validation"]
    assert set(again.patients) == held_out & set(half.patients)


def test_a_set_to_be_scored_on_is_left_alone():
    splits = given("test")
    assert data.complete(splits)[0] == splits


def test_labels_and_columns_go_with_their_images():
    splits = given("train")
    train = dataclasses.replace(
        splits["train"], columns={"number": np.arange(1000)}
    )
    for part in data.complete({"train": train})[0].values():
        np.testing.assert_array_equal(part.columns["number"], part.example_ids)
        np.testing.assert_array_equal(
            part.labels, train.labels[part.example_ids]
        )

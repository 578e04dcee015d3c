import hashlib

import pytest

from transfusion_tf.raw import errors, items

THIRDS = {"train": 0.7, "validation": 0.1, "test": 0.2}


def eyes(patient: str) -> list[items.Item]:
    return [
        items.Item(f"{patient}_{eye}", patient) for eye in ("left", "right")
    ]


def test_the_bucket_is_the_documented_hash() -> None:
    digest = hashlib.md5(b"salt42").hexdigest()
    assert items.patient_bucket("42", salt="salt") == (
        int(digest[:8], 16) % 10000
    )


def test_both_eyes_of_a_patient_are_in_one_split_and_none_is_lost() -> None:
    photographs = [eye for p in range(300) for eye in eyes(str(p))]
    parts = items.split_by_patient(photographs, fractions=THIRDS, salt="a")
    items.check_patient_disjoint(parts)
    found = [eye for part in parts.values() for eye in part]
    assert sorted(e.image_id for e in found) == sorted(
        e.image_id for e in photographs
    )


def test_splits_have_their_shares_of_the_patients() -> None:
    photographs = [eye for p in range(4000) for eye in eyes(str(p))]
    parts = items.split_by_patient(photographs, fractions=THIRDS, salt="a")
    for name, fraction in THIRDS.items():
        # Five standard errors of a binomial share.
        error = (fraction * (1 - fraction) / 4000) ** 0.5
        share = len(parts[name]) / len(photographs)
        assert share == pytest.approx(fraction, abs=5 * error)


def test_a_patient_keeps_the_split_when_others_come() -> None:
    few = items.split_by_patient(eyes("7"), fractions=THIRDS, salt="a")
    many = items.split_by_patient(
        [eye for p in range(50) for eye in eyes(str(p))],
        fractions=THIRDS,
        salt="a",
    )
    home = [name for name, part in few.items() if part]
    assert few[home[0]][0] in many[home[0]]


def test_another_salt_gives_other_splits() -> None:
    photographs = [eye for p in range(100) for eye in eyes(str(p))]
    one, two = (
        items.split_by_patient(photographs, fractions=THIRDS, salt=salt)
        for salt in ("a", "b")
    )
    assert one["test"] != two["test"]


def test_shares_that_do_not_sum_to_one_are_refused() -> None:
    with pytest.raises(ValueError, match=r"sum to 1.*'train': 0\.0"):
        items.split_by_patient(eyes("1"), fractions={"train": 0.0}, salt="a")


def test_a_patient_in_two_splits_is_an_error_that_names_both() -> None:
    parts = {"train": eyes("1") + eyes("2"), "test": eyes("3") + eyes("2")}
    with pytest.raises(
        errors.PatientLeakError,
        match=r"^2 image.*patient_id='2' in 'train'.*'2_left', in 'test'",
    ):
        items.check_patient_disjoint(parts)


def test_an_empty_split_is_an_error_that_gives_the_counts() -> None:
    with pytest.raises(
        errors.EmptySplitError, match=r"'validation'.*'train': 2, 'valid.*50"
    ):
        items.check_not_empty({"train": eyes("1"), "validation": []})


def test_equal_files_are_one_patient_and_others_are_not(tmp_path) -> None:
    for name, content in {"a": b"x", "b": b"x", "c": b"y"}.items():
        (tmp_path / name).write_bytes(content)
    a, b, c = (items.content_patient_id(tmp_path / name) for name in "abc")
    assert a == b == "sha256:" + hashlib.sha256(b"x").hexdigest()[:16]
    assert c != a


def test_an_id_that_stands_twice_is_an_error_that_names_both_files() -> None:
    parts = {
        "train": [items.Item("1", "a", "one/1.png")],
        "test": [items.Item("1", "b", "two/1.png")],
    }
    with pytest.raises(
        errors.DuplicateError, match="image_id='1', for 'one/1.png' and 'two/"
    ):
        items.check_ids_unique(parts)

import collections
import csv
import pathlib
import shutil

import pytest

from tests.datasets import photographs
from transfusion_datasets.transfusion_eyepacs import layout
from transfusion_tf.raw import errors, items


@pytest.fixture
def root(tmp_path: pathlib.Path) -> pathlib.Path:
    photographs.write(tmp_path / "eyepacs")
    return tmp_path / "eyepacs"


def image_ids(part: list[items.Item]) -> set[str]:
    return {photograph.image_id for photograph in part}


def test_without_test_files_all_images_are_split_by_the_hash(
    root: pathlib.Path,
) -> None:
    read = layout.read(root)
    parts, rule = read.splits, read.rule
    assert "70 % to train, 10 % to validation and 20 % to test" in rule
    assert sum(len(part) for part in parts.values()) == 120
    for name, low, high in (
        ("train", 0, 7000),
        ("validation", 7000, 8000),
        ("test", 8000, 10000),
    ):
        for photograph in parts[name]:
            bucket = items.patient_bucket(
                photograph.patient_id, salt="transfusion_eyepacs"
            )
            assert low <= bucket < high


def test_the_official_test_folder_is_the_test_split(
    root: pathlib.Path,
) -> None:
    photographs.write_test_folder(root, patients=range(100, 105))
    read = layout.read(root)
    parts, rule = read.splits, read.rule
    assert "official test folder" in rule
    assert image_ids(parts["test"]) == {
        f"{p}_{eye}" for p in range(100, 105) for eye in ("left", "right")
    }
    rest = image_ids(parts["train"]) | image_ids(parts["validation"])
    assert len(rest) == 120
    for photograph in parts["validation"]:
        assert (
            items.patient_bucket(photograph.patient_id, salt=layout.SALT)
            >= 9000
        )


def test_the_other_name_of_the_test_labels_is_read_as_well(
    root: pathlib.Path,
) -> None:
    photographs.write_test_folder(root, patients=range(100, 103))
    (root / "retinopathy_solution.csv").rename(root / "testLabels.csv")
    assert len(layout.read(root).splits["test"]) == 6


def test_patient_eye_grade_and_path_come_from_the_files(
    root: pathlib.Path,
) -> None:
    parts = layout.read(root).splits
    everything = {p.image_id: p for part in parts.values() for p in part}
    assert everything["3_right"] == items.Item(
        image_id="3_right",
        patient_id="3",
        path=str(root / "train" / "3_right.jpeg"),
        values={"eye": "right", "grade": 4, "gradable": -1, "dme": -1},
    )


def test_a_byte_order_mark_and_crlf_are_no_fault(root: pathlib.Path) -> None:
    path = root / "trainLabels.csv"
    text = path.read_text().replace("\n", "\r\n")
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert len(layout.read_levels(path)) == 120


def test_no_directory_given_says_where_the_files_come_from() -> None:
    with pytest.raises(
        errors.ManualDirError, match=r"--manual_dir=DIR.*train\.zip\.001"
    ):
        layout.check(None)


def test_a_directory_that_is_not_there_is_named(tmp_path: pathlib.Path) -> None:
    with pytest.raises(
        errors.ManualDirError, match=r"does not exist.*manual_dir='.*nothing'"
    ):
        layout.check(tmp_path / "nothing")


def test_a_wrong_directory_lists_what_was_looked_for_and_what_is_there(
    tmp_path: pathlib.Path,
) -> None:
    (tmp_path / "train.zip.001").touch()
    with pytest.raises(
        errors.ManualDirError,
        match=r"(?s)train/ is missing.*Looked for: train/\*\.jpeg, "
        r"trainLabels\.csv.*There is: train\.zip\.001.*extract train\.zip",
    ):
        layout.check(tmp_path)


def test_the_directory_above_gets_a_hint(root: pathlib.Path) -> None:
    with pytest.raises(
        errors.ManualDirError, match=rf"Did you mean --manual_dir={root}\?"
    ):
        layout.check(root.parent)


@pytest.mark.parametrize(
    ("remove", "problem"),
    [
        ("trainLabels.csv", r"trainLabels\.csv is missing"),
        ("train", "folder train/ is missing"),
        ("test", r"retinopathy_solution\.csv is there but the folder test/"),
        ("retinopathy_solution.csv", "test/ has no labels"),
    ],
)
def test_a_half_empty_directory_says_which_half(
    root: pathlib.Path, remove: str, problem: str
) -> None:
    photographs.write_test_folder(root, patients=range(100, 103))
    path = root / remove
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(errors.ManualDirError, match=problem):
        layout.check(root)


def test_a_train_folder_without_images_is_incomplete(
    root: pathlib.Path,
) -> None:
    shutil.rmtree(root / "train")
    (root / "train").mkdir()
    with pytest.raises(errors.ManualDirError, match="train/ holds no image"):
        layout.check(root)


def test_the_sample_submission_is_never_taken_for_labels(
    root: pathlib.Path,
) -> None:
    photographs.write_test_folder(root, patients=range(100, 103))
    (root / "retinopathy_solution.csv").rename(root / "sampleSubmission.csv")
    with pytest.raises(
        errors.ManualDirError,
        match=r"test/ has no labels \(sampleSubmission\.csv holds none",
    ):
        layout.read(root)


def test_a_renamed_sample_submission_is_seen_by_its_zeros(
    root: pathlib.Path,
) -> None:
    photographs.write_test_folder(root, patients=range(100, 103))
    rows = [(f"{p}_left", "0") for p in range(100, 103)]
    photographs.write_labels(root / "retinopathy_solution.csv", rows)
    with pytest.raises(
        errors.LabelFileError, match=r"level 0 for all 3 .*sampleSubmission"
    ):
        layout.read(root)


@pytest.mark.parametrize(
    ("text", "received"),
    [
        ("", "header ''"),
        ("id_code,diagnosis\n1_left,0\n", "header 'id_code,diagnosis'"),
        ("image,level\n", "no row below the header"),
        ("image,level\n1_left,5\n", "level '5' of image '1_left' in line 2"),
        ("image,level\n1_left,-1\n", "level '-1'"),
        ("image,level\n1_left,\n", "level ''"),
        ("image,level\n1_left,nan\n", "level 'nan'"),
        ("image,level\n1_left,1.0\n", r"level '1\.0'"),
        ("image,level\n1_left\n", "1 fields in line 2"),
        ("image,level\n1_left,0\n1_left,0\n", "image '1_left' again in line 3"),
    ],
)
def test_a_faulty_label_file_is_refused_with_line_and_value(
    tmp_path: pathlib.Path, text: str, received: str
) -> None:
    path = tmp_path / "trainLabels.csv"
    path.write_text(text)
    with pytest.raises(
        errors.LabelFileError, match=rf"Received: {received}.*trainLabels\.csv"
    ):
        layout.read_levels(path)


def test_an_id_without_an_eye_is_refused(root: pathlib.Path) -> None:
    rows = photographs.write(root, patients=range(3))
    shutil.rmtree(root / "train")
    photographs.write(root, patients=range(3))
    (root / "train" / "2_left.jpeg").rename(root / "train" / "2_both.jpeg")
    rows = [(i.replace("2_left", "2_both"), level) for i, level in rows]
    photographs.write_labels(root / "trainLabels.csv", rows)
    with pytest.raises(errors.LabelFileError, match=r"image='2_both'.*10_left"):
        layout.read(root)


def test_a_listed_image_that_is_missing_is_named(root: pathlib.Path) -> None:
    (root / "train" / "7_left.jpeg").unlink()
    with pytest.raises(
        errors.MissingImageError, match=r"^1 of 120 .*no file for 7_left"
    ):
        layout.read(root)


def test_an_image_without_a_label_is_named(root: pathlib.Path) -> None:
    shutil.copy(root / "train" / "7_left.jpeg", root / "train" / "999_left.JPG")
    with pytest.raises(
        errors.UnlabelledImageError, match=r"^1 images .*999_left\.JPG"
    ):
        layout.read(root)


def test_two_files_of_one_name_are_refused(root: pathlib.Path) -> None:
    shutil.copy(root / "train" / "7_left.jpeg", root / "train" / "7_left.png")
    with pytest.raises(
        errors.DuplicateError, match=r"7_left\.jpeg.*7_left\.png.*Remove one"
    ):
        layout.read(root)


def test_files_of_the_system_are_no_images(root: pathlib.Path) -> None:
    for name in (".DS_Store", "._1_left.jpeg", "Thumbs.db"):
        (root / "train" / name).touch()
    assert sum(len(part) for part in layout.read(root).splits.values()) == 120


def test_a_patient_in_both_folders_is_a_leak(root: pathlib.Path) -> None:
    photographs.write_test_folder(root, patients=range(59, 62))
    with pytest.raises(
        errors.PatientLeakError, match=r"patient_id='59'.*'59_left', in 'test'"
    ):
        items.check_patient_disjoint(layout.read(root).splits)


def test_too_few_patients_for_three_splits_is_an_error(
    tmp_path: pathlib.Path,
) -> None:
    photographs.write(tmp_path, patients=range(2))
    with pytest.raises(errors.EmptySplitError, match="too few patients"):
        items.check_not_empty(layout.read(tmp_path).splits)


def test_two_label_files_of_the_test_images_must_agree(
    root: pathlib.Path,
) -> None:
    photographs.write_test_folder(root, patients=range(100, 103))
    shutil.copy(root / "retinopathy_solution.csv", root / "testLabels.csv")
    assert len(layout.read(root).splits["test"]) == 6
    text = (root / "testLabels.csv").read_text()
    changed = text.replace("100_left,0", "100_left,3")
    assert changed != text
    (root / "testLabels.csv").write_text(changed)
    with pytest.raises(errors.LabelFileError, match="contradict each other"):
        layout.read(root)


@pytest.mark.sample_data
def test_the_sample_has_the_counts_of_its_description(
    sample_data: pathlib.Path,
) -> None:
    if not (sample_data / "eyepacs").is_dir():
        pytest.skip("$TRANSFUSION_SAMPLE_DATA has no eyepacs folder")
    parts = layout.read(sample_data / "eyepacs").splits
    everything = [p for part in parts.values() for p in part]
    grades = collections.Counter(p.values["grade"] for p in everything)
    assert [grades[g] for g in range(5)] == [1494, 130, 293, 50, 31]
    assert len({p.patient_id for p in everything}) == 1000
    # The label file itself, read by another parser, is the second oracle.
    folder = sample_data / "eyepacs"
    with (folder / "trainLabels.csv").open(newline="") as file:
        expected = {r["image"]: int(r["level"]) for r in csv.DictReader(file)}
    assert {p.image_id: p.values["grade"] for p in everything} == expected
    assert len(list((folder / "train").iterdir())) == len(everything) == 1998

import hashlib
import pathlib

import pytest

from transfusion_tf.raw import errors, folders, items


def write(path: pathlib.Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def class_folders(root: pathlib.Path, count: int, *, prefix: str = "") -> None:
    for name in ("cat", "dog"):
        for number in range(count):
            path = root / name / f"{number}.png"
            write(path, f"{prefix}{name}{number}")


def labels_csv(root: pathlib.Path, text: str) -> None:
    write(root / "labels.csv", text)


def ids(part: object) -> set[str]:
    return {item.image_id for item in part}  # type: ignore[attr-defined]


def share_of(name: str) -> float:
    return int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 2**32


def test_class_folders_are_dealt_out_by_the_hash_of_class_and_name(
    tmp_path: pathlib.Path,
) -> None:
    class_folders(tmp_path, 40)
    folder = folders.read(tmp_path)
    assert folder.classes == ("cat", "dog")
    for name, (low, high) in {
        "train": (0, 0.8),
        "validation": (0.8, 0.9),
        "test": (0.9, 1),
    }.items():
        expected = {
            f"{kind}/{n}.png"
            for kind in ("cat", "dog")
            for n in range(40)
            if low
            <= int(
                hashlib.sha256(f"{kind}/{n}.png".encode()).hexdigest()[:8], 16
            )
            / 2**32
            < high
        }
        part = folder.parts.splits[name]
        assert ids(part) == expected
        for item in part:
            assert item.values["label"] == item.image_id.startswith("dog")


@pytest.mark.parametrize("has_validation", [True, False])
def test_given_splits_are_kept(
    tmp_path: pathlib.Path, has_validation: bool
) -> None:
    class_folders(tmp_path / "train", 30, prefix="train")
    class_folders(tmp_path / "test", 4, prefix="test")
    if has_validation:
        class_folders(tmp_path / "validation", 3, prefix="validation")
    splits = folders.read(tmp_path).parts.splits
    assert list(splits) == ["train", "validation", "test"]
    assert len(splits["test"]) == 8
    if has_validation:
        assert (len(splits["train"]), len(splits["validation"])) == (60, 6)
    else:
        assert len(splits["train"]) + len(splits["validation"]) == 60
        assert 0 < len(splits["validation"]) < 20
    items.check_patient_disjoint(splits)


def test_a_folder_of_no_class_is_named(tmp_path: pathlib.Path) -> None:
    class_folders(tmp_path / "train", 3, prefix="train")
    class_folders(tmp_path / "test", 3, prefix="test")
    write(tmp_path / "test" / "cow" / "1.png", "cow")
    with pytest.raises(errors.LabelFileError, match=r"test/cow'.*cat, dog"):
        folders.read(tmp_path)


def test_equal_files_are_one_patient(tmp_path: pathlib.Path) -> None:
    class_folders(tmp_path, 3)
    write(tmp_path / "cat" / "copy.png", "cat0")
    parts = folders.read(tmp_path).parts.splits
    patients = {item.patient_id for part in parts.values() for item in part}
    assert len(patients) == 6


def test_a_label_file_gives_labels_patients_and_splits(
    tmp_path: pathlib.Path,
) -> None:
    for name in ("a b.png", "ü/1.png", "c.png"):
        write(tmp_path / name, name)
    labels_csv(
        tmp_path,
        "path,label,patient_id,split\n"
        "a b.png,10,p1,train\n"
        "ü/1.png,9,p2,validation\n"
        "c.png,10,,test\n",
    )
    folder = folders.read(tmp_path)
    # Numbers by their value, not by their letters.
    assert folder.classes == ("9", "10")
    splits = folder.parts.splits
    found = {
        name: [(i.image_id, i.patient_id[:7], i.values["label"]) for i in part]
        for name, part in splits.items()
    }
    assert found == {
        "train": [("a b.png", "p1", 1)],
        "validation": [("ü/1.png", "p2", 0)],
        "test": [("c.png", "sha256:", 1)],
    }


def test_without_splits_patients_are_dealt_out_whole(
    tmp_path: pathlib.Path,
) -> None:
    lines = ["path,label,patient_id"]
    for number in range(200):
        write(tmp_path / f"{number}.png", str(number))
        lines.append(f"{number}.png,{number % 2},p{number // 4}")
    labels_csv(tmp_path, "\n".join(lines))
    splits = folders.read(tmp_path).parts.splits
    items.check_patient_disjoint(splits)
    assert sum(map(len, splits.values())) == 200
    for name, part in splits.items():
        expected = {
            f"p{n}"
            for n in range(50)
            if items.split_by_patient(
                [items.Item("x", f"p{n}")],
                fractions=folders.FRACTIONS,
                salt="folder",
            )[name]
        }
        assert {item.patient_id for item in part} == expected


@pytest.mark.parametrize(
    ("line", "error", "message"),
    [
        ("../x.png,a", errors.PathError, r"'\.\./x\.png' in line 4"),
        ("/etc/passwd,a", errors.PathError, "'/etc/passwd' in line 4"),
        ("gone.png,a", errors.MissingImageError, "1 of 3 .*gone.png"),
        ("1.png,", errors.LabelFileError, "label='', .*in line 4"),
        ("1.png,a,b", errors.LabelFileError, "3 fields in line 4"),
    ],
)
def test_a_wrong_row_is_named(
    tmp_path: pathlib.Path, line: str, error: type[Exception], message: str
) -> None:
    write(tmp_path / "1.png", "1")
    write(tmp_path / "2.png", "2")
    labels_csv(tmp_path, f"path,label\n1.png,a\n2.png,b\n{line}\n")
    with pytest.raises(error, match=message):
        folders.read(tmp_path)


def test_an_unknown_split_is_named(tmp_path: pathlib.Path) -> None:
    for name in ("1", "2"):
        write(tmp_path / f"{name}.png", name)
    labels_csv(tmp_path, "path,label,split\n1.png,a,train\n2.png,b,dev\n")
    with pytest.raises(errors.LabelFileError, match="split='dev' in line 3"):
        folders.read(tmp_path)


@pytest.mark.parametrize("text", ["path,label\n1.png,a\n2.png,a\n", None])
def test_fewer_than_two_classes_are_refused(
    tmp_path: pathlib.Path, text: str | None
) -> None:
    if text:
        labels_csv(tmp_path, text)
    with pytest.raises(FileNotFoundError, match="class folders were found"):
        folders.classes_of(tmp_path)

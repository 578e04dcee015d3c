"""The official layout of the EyePACS files: where what lies, and who is who.

train/<patient>_<left|right>.jpeg   trainLabels.csv: image,level
test/<patient>_<left|right>.jpeg    retinopathy_solution.csv or
                                    testLabels.csv: image,level[,Usage]
"""

import csv
import io
import re
from collections.abc import Sequence

from etils import epath

from transfusion_tf.raw import errors, items

NUM_GRADES = 5
SALT = "transfusion_eyepacs"
WITHOUT_TEST = {"train": 0.7, "validation": 0.1, "test": 0.2}
WITH_TEST = {"train": 0.9, "validation": 0.1}
RULE_WITHOUT_TEST = (
    "There are no official test files here: of the patients of train/, a "
    "hash gives 70 % to train, 10 % to validation and 20 % to test."
)
RULE_WITH_TEST = (
    "test is the official test folder, Public and Private together; of the "
    "patients of train/, a hash gives 90 % to train and 10 % to validation."
)
TRAIN_LABELS = "trainLabels.csv"
TEST_LABELS = ("retinopathy_solution.csv", "testLabels.csv")
FAKE_LABELS = "sampleSubmission.csv"
WHERE = (
    "The files come from the competition 'Diabetic Retinopathy Detection' "
    "(2015), https://www.kaggle.com/c/diabetic-retinopathy-detection/data: "
    "join and extract train.zip.001 to .005 and trainLabels.csv.zip there. "
    "With test.zip.001 to .007 you also need retinopathy_solution.csv, which "
    "the host published in the competition's forum."
)

_SUFFIXES = (".jpeg", ".jpg", ".png")
_IMAGE_ID = re.compile(r"(?P<patient>.+)_(?P<eye>left|right)")
_SHOWN = 8  # How many names an error lists.


def check(manual_dir: epath.PathLike | None) -> epath.Path:
    """Raises unless a directory has the official layout.

    Args:
        manual_dir: The directory of raw files.

    Returns:
        The directory.

    Raises:
        errors.ManualDirError: Listing what was looked for, what is there,
            and where to get the rest.
    """
    if manual_dir is None:
        raise errors.ManualDirError(
            "These images must be fetched by hand. Received: manual_dir=None."
            f" Give the directory that holds train/ and {TRAIN_LABELS} with "
            f"--manual_dir=DIR. {WHERE}"
        )
    root = epath.Path(manual_dir)
    if not root.is_dir():
        raise errors.ManualDirError(
            f"The directory of raw files does not exist. Received: "
            f"manual_dir={str(root)!r}. Give the directory that holds train/ "
            f"and {TRAIN_LABELS} with --manual_dir=DIR. {WHERE}"
        )
    problem = _problem(root)
    if problem:
        raise errors.ManualDirError(_explain(root, problem))
    return root


def _problem(root: epath.Path) -> str | None:
    if not (root / "train").is_dir():
        return "the folder train/ is missing"
    if not (root / TRAIN_LABELS).exists():
        return f"{TRAIN_LABELS} is missing"
    if not _images(root / "train"):
        return "train/ holds no image"
    has_test, labels = (root / "test").is_dir(), _test_labels(root)
    if has_test and labels is None:
        return (
            "the folder test/ has no labels "
            f"({FAKE_LABELS} holds none: its levels are all zero)"
        )
    if labels is not None and not has_test:
        return f"{labels.name} is there but the folder test/ is missing"
    return None


def _test_labels(root: epath.Path) -> epath.Path | None:
    there = [root / n for n in TEST_LABELS if (root / n).exists()]
    return there[0] if there else None


def _explain(root: epath.Path, problem: str) -> str:
    names = sorted(path.name for path in root.iterdir())
    nested = [
        path
        for path in root.iterdir()
        if path.is_dir() and (path / TRAIN_LABELS).exists()
    ]
    hint = f" Did you mean --manual_dir={nested[0]}?" if nested else ""
    return (
        f"The directory of raw files is not complete: {problem}. Received: "
        f"manual_dir={str(root)!r}.{hint}\n"
        f"Looked for: train/*.jpeg, {TRAIN_LABELS}, and, both or neither, "
        f"test/*.jpeg and {' or '.join(TEST_LABELS)}.\n"
        f"There is: {_list(names) or 'nothing'}.\n"
        f"{WHERE}"
    )


def _list(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" * (more > 0))


def read(manual_dir: epath.PathLike | None) -> items.Parts:
    """Reads which photographs there are and gives each patient a split.

    Args:
        manual_dir: The directory of raw files.

    Returns:
        The photographs of each split, and the rule in words.

    Raises:
        errors.DataError: If anything is missing, unlabelled, labelled
            twice or out of range.
    """
    root = check(manual_dir)
    train = _read_folder(root / "train", root / TRAIN_LABELS)
    labels = _test_labels(root)
    if labels is None:
        parts = items.split_by_patient(train, fractions=WITHOUT_TEST, salt=SALT)
        rule = RULE_WITHOUT_TEST
    else:
        parts = items.split_by_patient(train, fractions=WITH_TEST, salt=SALT)
        parts["test"] = _read_folder(root / "test", labels)
        rule = RULE_WITH_TEST
    return items.Parts(parts, rule, SALT)


def _read_folder(
    folder: epath.Path, label_file: epath.Path
) -> list[items.Item]:
    levels = read_levels(label_file)
    paths = _images(folder)
    _check_complete(folder, label_file, levels, paths)
    return [
        _photograph(image_id, level, paths[image_id], label_file)
        for image_id, level in levels.items()
    ]


def _images(folder: epath.Path) -> dict[str, epath.Path]:
    """Finds the image files of a folder by their names without suffix."""
    paths: dict[str, epath.Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in _SUFFIXES or path.name.startswith("."):
            continue
        if path.stem in paths:
            raise errors.LabelFileError(
                "Two files have the same name but for the suffix. Received: "
                f"{str(paths[path.stem])!r} and {str(path)!r}. Remove one."
            )
        paths[path.stem] = path
    return paths


def _check_complete(
    folder: epath.Path,
    label_file: epath.Path,
    levels: dict[str, int],
    paths: dict[str, epath.Path],
) -> None:
    missing = [image_id for image_id in levels if image_id not in paths]
    if missing:
        raise errors.MissingImageError(
            f"{len(missing)} of {len(levels)} images that "
            f"{str(label_file)!r} lists are not in {str(folder)!r}. "
            f"Received: no file for {_list(missing)}. Extract the archives "
            "anew, all parts, or remove these rows from the label file."
        )
    unlabelled = [image_id for image_id in paths if image_id not in levels]
    if unlabelled:
        raise errors.UnlabelledImageError(
            f"{len(unlabelled)} images in {str(folder)!r} have no row in "
            f"{str(label_file)!r}. Received: "
            f"{_list([paths[i].name for i in unlabelled])}. Complete the "
            "label file or move these files elsewhere."
        )


def _photograph(
    image_id: str, level: int, path: epath.Path, label_file: epath.Path
) -> items.Item:
    match = _IMAGE_ID.fullmatch(image_id)
    if not match:
        raise errors.LabelFileError(
            "An image id does not tell patient and eye. Received: "
            f"image={image_id!r} in {str(label_file)!r}. Expected "
            "<patient>_left or <patient>_right, for example 10_left."
        )
    return items.Item(
        image_id=image_id,
        patient_id=match["patient"],
        path=str(path),
        values={
            "eye": match["eye"],
            "grade": level,
            "gradable": -1,
            "dme": -1,
        },
    )


def read_levels(label_file: epath.PathLike) -> dict[str, int]:
    """Reads a label file.

    Args:
        label_file: CSV with the header `image,level` or
            `image,level,Usage`.

    Returns:
        Image id to ICDR grade, in the order of the file.

    Raises:
        errors.LabelFileError: If the header is another, a level is not one
            of 0 to 4, an id stands twice, or there is no label at all.
    """
    label_file = epath.Path(label_file)
    # Spreadsheet programs put a byte order mark before the header.
    text = label_file.read_bytes().decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(text)))
    header = [column.strip() for column in rows[0]] if rows else []
    if header not in (["image", "level"], ["image", "level", "Usage"]):
        raise _label_error(
            label_file, f"header {','.join(header)!r}", "image,level"
        )
    levels: dict[str, int] = {}
    for number, row in enumerate(rows[1:], start=2):
        if row:
            image_id, level = _parse_row(row, header, label_file, number)
            if image_id in levels:
                raise _label_error(
                    label_file,
                    f"image {image_id!r} again in line {number}",
                    "each image once",
                )
            levels[image_id] = level
    _check_real(label_file, levels)
    return levels


def _parse_row(
    row: list[str], header: list[str], label_file: epath.Path, number: int
) -> tuple[str, int]:
    if len(row) != len(header):
        raise _label_error(
            label_file,
            f"{len(row)} fields in line {number}",
            f"{len(header)} fields: {','.join(header)}",
        )
    level = row[1].strip()
    if level not in {str(grade) for grade in range(NUM_GRADES)}:
        raise _label_error(
            label_file,
            f"level {level!r} of image {row[0]!r} in line {number}",
            "a level of 0, 1, 2, 3 or 4",
        )
    return row[0].strip(), int(level)


def _check_real(label_file: epath.Path, levels: dict[str, int]) -> None:
    if not levels:
        raise _label_error(label_file, "no row below the header", "labels")
    if label_file.name in TEST_LABELS and not any(levels.values()):
        raise _label_error(
            label_file,
            f"level 0 for all {len(levels)} images, as in {FAKE_LABELS}",
            "the true levels of the test images",
        )


def _label_error(
    label_file: epath.Path, received: str, expected: str
) -> errors.LabelFileError:
    return errors.LabelFileError(
        f"A label file is wrong. Received: {received} in "
        f"{str(label_file)!r}. Expected {expected}. Correct the file or "
        "fetch it anew."
    )

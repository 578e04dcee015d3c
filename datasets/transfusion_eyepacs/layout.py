"""The official layout of the EyePACS files: where what lies, and who is who.

train/<patient>_<left|right>.jpeg   trainLabels.csv: image,level
test/<patient>_<left|right>.jpeg    retinopathy_solution.csv or
                                    testLabels.csv: image,level[,Usage]
"""

import re

from etils import epath

from transfusion_datasets import fundus_layout
from transfusion_tf.raw import errors, items, paths, tables

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

_IMAGE_ID = re.compile(r"(?P<patient>.+)_(?P<eye>left|right)")
_HOLDS = f"train/ and {TRAIN_LABELS}"
_WANTED = (
    f"train/*.jpeg, {TRAIN_LABELS}, and, both or neither, test/*.jpeg, "
    f"{' or '.join(TEST_LABELS)}"
)


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
    root = fundus_layout.check_directory(manual_dir, _HOLDS, WHERE)
    problem = _problem(root)
    if problem:
        raise fundus_layout.incomplete(
            root, problem, _WANTED, WHERE, TRAIN_LABELS
        )
    return root


def _problem(root: epath.Path) -> str | None:
    if not (root / "train").is_dir():
        return "the folder train/ is missing"
    if not (root / TRAIN_LABELS).exists():
        return f"{TRAIN_LABELS} is missing"
    if not paths.list_images(root / "train"):
        return "train/ holds no image"
    has_test, labels = (root / "test").is_dir(), _test_labels(root)
    if has_test and not labels:
        return (
            "the folder test/ has no labels "
            f"({FAKE_LABELS} holds none: its levels are all zero)"
        )
    if labels and not has_test:
        return f"{labels[0].name} is there but the folder test/ is missing"
    return None


def _test_labels(root: epath.Path) -> list[epath.Path]:
    return [root / name for name in TEST_LABELS if (root / name).exists()]


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
    if not labels:
        parts = items.split_by_patient(train, fractions=WITHOUT_TEST, salt=SALT)
        return items.Parts(parts, RULE_WITHOUT_TEST, SALT)
    _check_agreement(labels)
    parts = items.split_by_patient(train, fractions=WITH_TEST, salt=SALT)
    parts["test"] = _read_folder(root / "test", labels[0])
    return items.Parts(parts, RULE_WITH_TEST, SALT)


def _check_agreement(label_files: list[epath.Path]) -> None:
    """Raises if two label files of the test images contradict each other."""
    first, *others = label_files
    for other in others:
        if read_levels(other) != read_levels(first):
            raise errors.LabelFileError(
                "Two label files of the test images contradict each other. "
                f"Received: {str(first)!r} and {str(other)!r}. Remove the one "
                "that is not the official solution."
            )


def _read_folder(
    folder: epath.Path, label_file: epath.Path
) -> list[items.Item]:
    levels, files = read_levels(label_file), paths.list_images(folder)
    found = []
    for name in fundus_layout.match_files(
        list(levels), files, folder, label_file
    ):
        match = _IMAGE_ID.fullmatch(name)
        if match:
            photograph = fundus_layout.photograph(
                name,
                files[name],
                grade=levels[name],
                patient_id=match["patient"],
                eye=match["eye"],
            )
            found.append(photograph)
        else:
            errors.report(_not_an_eye(name, label_file))
    return found


def _not_an_eye(name: str, label_file: epath.Path) -> errors.LabelFileError:
    return errors.LabelFileError(
        "An image id does not tell patient and eye. Received: "
        f"image={name!r} in {str(label_file)!r}. Expected "
        "<patient>_left or <patient>_right, for example 10_left.",
        names=[name],
    )


def read_levels(label_file: epath.PathLike) -> dict[str, int]:
    """Reads a label file.

    Args:
        label_file: CSV with the columns `image` and `level`.

    Returns:
        Image id to ICDR grade, in the order of the file.

    Raises:
        errors.LabelFileError: If a column is missing, a level is not one
            of 0 to 4, an id stands twice, or there is no label at all.
    """
    table = tables.read_table(label_file, columns=["image", "level"])
    levels = fundus_layout.read_grades(table, "image", "level")
    if table.path.name in TEST_LABELS and not any(levels.values()):
        raise tables.label_error(
            table.path,
            f"level 0 for all {len(levels)} images, as in {FAKE_LABELS},",
            "the true levels of the test images",
        )
    return levels

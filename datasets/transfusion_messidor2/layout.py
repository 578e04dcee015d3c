"""The files of Messidor-2 with Google's adjudicated grades.

messidor_data.csv   image_id,adjudicated_dr_grade,adjudicated_dme,
                    adjudicated_gradable
and the images beside it or in folders below: IM0001.jpg, or names such as
20051020_43808_0100_PP.png, in either case.
"""

from collections.abc import Iterator

from etils import epath

from transfusion_datasets import fundus_layout
from transfusion_tf.raw import errors, items, paths, tables

RULE = "The data set has no official splits and is a test set as a whole."
LABELS = "messidor_data.csv"
WHERE = (
    "The images come from https://www.adcis.net/en/third-party/messidor2, the "
    "adjudicated grades from the Kaggle data set 'Messidor-2 DR Grades' "
    "(google-brain/messidor2-dr-grades)."
)
_ID, _GRADE = "image_id", "adjudicated_dr_grade"
_EDEMA, _GRADABLE = "adjudicated_dme", "adjudicated_gradable"
_GRADES = {"": -1, "0": 0, "1": 1, "2": 2, "3": 3, "4": 4}
_EDEMAS = {"": -1, "0": 0, "1": 1}
_WANTED = f"{LABELS} and the images, beside it or in folders"


def check(manual_dir: epath.PathLike | None) -> epath.Path:
    """Raises unless a directory holds the labels.

    Args:
        manual_dir: The directory of raw files.

    Returns:
        The directory.

    Raises:
        errors.ManualDirError: Listing what was looked for and what is there.
    """
    root = fundus_layout.check_directory(manual_dir, LABELS, WHERE)
    if not (root / LABELS).exists():
        raise fundus_layout.incomplete(
            root, f"{LABELS} is missing", _WANTED, WHERE, LABELS
        )
    return root


def read(manual_dir: epath.PathLike | None) -> items.Parts:
    """Reads which photographs there are; all are in the split "test".

    Args:
        manual_dir: The directory of raw files.

    Returns:
        The photographs; those that are not gradable have the grade -1.

    Raises:
        errors.DataError: If anything is missing, unlabelled, labelled twice
            or out of range.
    """
    root = check(manual_dir)
    table = tables.read_table(
        root / LABELS, columns=[_ID, _GRADE, _EDEMA, _GRADABLE]
    )
    labels = _labels(table)
    files = _files(root)
    kept = fundus_layout.match_files(list(labels), files, root, table.path)
    found = [
        fundus_layout.photograph(name, files[name], **labels[name])
        for name in kept
    ]
    return items.Parts({"test": found}, RULE, salt=None)


def _labels(table: tables.Table) -> dict[str, dict[str, int]]:
    """Reads grade, edema and gradability by the name without suffix."""
    labels: dict[str, dict[str, int]] = {}
    for place, row in enumerate(table.rows):
        name = _stem(row[_ID])
        try:
            label = _label(table, place, row)
            if name in labels:
                raise table.error(place, f"{_ID} {name!r} again", "each once")
        except errors.LabelFileError as error:
            errors.report(error)
            continue
        labels[name] = label
    return labels


def _label(
    table: tables.Table, place: int, row: dict[str, str]
) -> dict[str, int]:
    is_gradable = row[_GRADABLE] == "1"
    # Pandas writes a column with gaps as 0.0, 1.0, ...
    grade = row[_GRADE].removesuffix(".0")
    edema = row[_EDEMA].removesuffix(".0")
    is_known = grade in _GRADES and edema in _EDEMAS
    if (
        row[_GRADABLE] not in ("0", "1")
        or not is_known
        or is_gradable == (grade == "")
    ):
        received = ", ".join(
            f"{name}={row[name]!r}" for name in (_GRADE, _EDEMA, _GRADABLE)
        )
        raise table.error(
            place,
            received,
            "a grade of 0 to 4 and an edema of 0 or 1 of a gradable image, no "
            "grade of one that is not",
        )
    return {
        "grade": _GRADES[grade],
        "dme": _EDEMAS[edema],
        "gradable": int(is_gradable),
    }


def _stem(name: str) -> str:
    """The suffix in the label file need not be that of the file."""
    stem, dot, suffix = name.rpartition(".")
    is_image = dot and f".{suffix.lower()}" in paths.IMAGE_SUFFIXES
    return stem if is_image else name


def _files(root: epath.Path) -> dict[str, epath.Path]:
    found: dict[str, epath.Path] = {}
    for folder in _folders(root):
        for name, path in paths.list_images(folder).items():
            if name in found:
                raise errors.DuplicateError(
                    "Two files have the same name. Received: "
                    f"{str(found[name])!r} and {str(path)!r}. Remove one."
                )
            found[name] = path
    return found


def _folders(root: epath.Path) -> Iterator[epath.Path]:
    yield root
    for path in paths.list_directory(root):
        if path.is_dir():
            yield path

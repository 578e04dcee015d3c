"""A person's own images: class folders, or a CSV of paths and labels.

PATH/<class>/*.jpg                          dealt out by a hash of the names
PATH/{train,test[,validation]}/<class>/*.jpg    as they are dealt out
PATH/labels.csv: path,label[,patient_id][,split]
"""

import dataclasses
import hashlib
import os
from collections.abc import Iterable, Sequence

from etils import epath

from transfusion_tf.raw import errors, items, paths, tables

LABELS = "labels.csv"
SPLITS = ("train", "validation", "test")
SALT = "folder"
FRACTIONS = {"train": 0.7, "validation": 0.1, "test": 0.2}
WHERE = (
    "Class folders PATH/<class>/*.jpg or PATH/{train,test}/<class>/*.jpg; or "
    "PATH/labels.csv with the columns path and label and, where they are "
    "known, patient_id and split (train, validation or test)."
)
_BY_NAME = "A hash of the files' names gives 80, 10 and 10 % of the images."
_AS_GIVEN = "The splits are those of the folders."
_TENTH = (
    "The splits are those of the folders; there is none of validation: a "
    "tenth of train, by a hash of the files' names."
)
_BY_COLUMN = "The splits are those of the column split."
_BY_PATIENT = (
    "A hash of the patients (of the images, where the file names no patients) "
    "gives 70 % to train, 10 % to validation and 20 % to test."
)


@dataclasses.dataclass(frozen=True)
class Folder:
    """A directory of labelled images.

    Attributes:
        parts: Its images; `label` of their values is a class index. Where
            patients are not named, equal files count as one patient.
        classes: Names of the classes.
    """

    parts: items.Parts
    classes: tuple[str, ...]


def classes_of(root: epath.PathLike) -> tuple[str, ...]:
    """Finds the classes of a directory; no image is looked at.

    Args:
        root: The directory.

    Returns:
        Names of the classes, sorted; numbers by their value.

    Raises:
        FileNotFoundError: If there are fewer than two.
    """
    root = epath.Path(root)
    classes: Sequence[str] = ()
    if (root / LABELS).exists():
        table = tables.read_table(root / LABELS, columns=["path", "label"])
        classes = _sorted({row["label"] for row in table.rows})
    elif root.is_dir():
        home = root / "train" if (root / "train").is_dir() else root
        found = paths.list_directory(home)
        classes = [path.name for path in found if path.is_dir()]
    if len(classes) < 2:
        raise FileNotFoundError(
            "A folder task needs a directory with one folder for each of two "
            f"or more classes, or with {LABELS}. Received: "
            f"{os.fspath(root)!r}, in which {len(classes)} class folders were "
            f"found. {WHERE}"
        )
    return tuple(classes)


def read(root: epath.PathLike) -> Folder:
    """Reads which images there are; every file is read once, to find copies.

    Args:
        root: The directory.

    Returns:
        The images of each split, and the classes.

    Raises:
        FileNotFoundError: If there are fewer than two classes.
        errors.DataError: If the label file is wrong, or a file is missing or
            leads out of the directory.
    """
    root = epath.Path(root)
    classes = classes_of(root)
    if (root / LABELS).exists():
        return Folder(_read_labels(root, classes), classes)
    if not (root / "train").is_dir():
        found = _class_folders(root, root, classes)
        bounds = {"train": (0.0, 0.8), "validation": (0.8, 0.9)}
        bounds["test"] = (0.9, 1.0)
        splits = {name: _hashed(found, *bounds[name]) for name in SPLITS}
        return Folder(items.Parts(splits, _BY_NAME, None), classes)
    given = [name for name in SPLITS if (root / name).is_dir()]
    splits = {
        name: _class_folders(root, root / name, classes) for name in given
    }
    rule = _AS_GIVEN
    if "validation" not in splits:
        rule, train = _TENTH, splits["train"]
        splits = {
            "train": _hashed(train, 0.0, 0.9),
            "validation": _hashed(train, 0.9, 1.0),
            **{name: splits[name] for name in given if name == "test"},
        }
    return Folder(items.Parts(splits, rule, None), classes)


def split_names(root: epath.PathLike) -> tuple[str, ...]:
    """Tells which splits `read` will give; no image is looked at.

    Args:
        root: The directory.
    """
    root = epath.Path(root)
    if (root / LABELS).exists():
        table = tables.read_table(root / LABELS, columns=["path", "label"])
        if "split" not in table.header:
            return SPLITS
        named = {row["split"] for row in table.rows}
        return tuple(name for name in SPLITS if name in named)
    if (root / "train").is_dir() and not (root / "test").is_dir():
        return ("train", "validation")
    return SPLITS


def _class_folders(
    root: epath.Path, home: epath.Path, classes: tuple[str, ...]
) -> list[items.Item]:
    found = []
    for path in paths.list_directory(home):
        if not path.is_dir():
            continue
        if path.name not in classes:
            error = errors.LabelFileError(
                "A folder is of no class. Received: "
                f"{os.fspath(path)!r}. Expected one of {', '.join(classes)}, "
                "the folders of train. Rename or move it."
            )
            errors.report(error)
            continue
        label = classes.index(path.name)
        for file in paths.list_directory(path):
            if file.suffix.lower() in paths.IMAGE_SUFFIXES:
                found.append(_item(root, file, label, None))
    # In the order of their paths, as the reading of folders always was.
    return sorted(found, key=lambda item: item.path)


def _hashed(
    found: Iterable[items.Item], low: float, high: float
) -> list[items.Item]:
    """Keeps the images whose hash of class and name falls into a share."""
    kept = []
    for item in found:
        name = "/".join(item.path.split("/")[-2:])
        digest = hashlib.sha256(name.encode()).hexdigest()
        if low <= int(digest[:8], 16) / 16**8 < high:
            kept.append(item)
    return kept


def _read_labels(root: epath.Path, classes: tuple[str, ...]) -> items.Parts:
    table = tables.read_table(root / LABELS, columns=["path", "label"])
    splits: dict[str, list[items.Item]] = {name: [] for name in SPLITS}
    missing = []
    for place, row in enumerate(table.rows):
        where = f"line {table.lines[place]} of {os.fspath(table.path)!r}"
        try:
            path = paths.resolve(root, row["path"], where=where)
        except errors.PathError as error:
            errors.report(error)
            continue
        split = row.get("split", "train")
        if not row["label"] or split not in SPLITS:
            received = f"label={row['label']!r}, split={split!r}"
            expected = "a label, and train, validation or test"
            errors.report(table.error(place, received, expected))
        elif not path.is_file():
            missing.append(row["path"])
        else:
            label = classes.index(row["label"])
            patient = row.get("patient_id") or None
            splits[split].append(_item(root, path, label, patient))
    if missing:
        errors.report(_missing(missing, len(table.rows), table.path))
    if "split" in table.header:
        filled = {name: part for name, part in splits.items() if part}
        return items.Parts(filled, _BY_COLUMN, None)
    dealt = items.split_by_patient(
        splits["train"], fractions=FRACTIONS, salt=SALT
    )
    return items.Parts(dealt, _BY_PATIENT, SALT)


def _item(
    root: epath.Path, path: epath.Path, label: int, patient: str | None
) -> items.Item:
    return items.Item(
        image_id=os.fspath(path.relative_to(root)),
        patient_id=patient or items.content_patient_id(path),
        path=os.fspath(path),
        values={"label": label},
    )


def _missing(
    names: list[str], num_rows: int, label_file: epath.Path
) -> errors.MissingImageError:
    return errors.MissingImageError(
        f"{len(names)} of {num_rows} images that {os.fspath(label_file)!r} "
        f"lists are not there. Received: no file for {', '.join(names[:5])}. "
        "Correct the paths, which are relative to the label file, or remove "
        "these rows.",
        names=names,
    )


def _sorted(labels: set[str]) -> list[str]:
    """Sorts names, numbers by their value; a missing label is none."""
    known = [label for label in labels if label]
    if all(label.isdigit() for label in known):
        return sorted(known, key=int)
    return sorted(known)

"""The layouts in which CheXpert is handed out: where what lies.

CheXpert-v1.0-small/ or CheXpert-v1.0/
    train.csv, valid.csv, train/patientNNNNN/studyN/viewN_frontal.jpg, valid/
the AIMI download
    CheXpert-v1.0 batch 1 (validate & csv)/{train.csv,valid.csv,valid/...}
    CheXpert-v1.0 batch 2 (train 1)/patientNNNNN/... and batches 3 and 4
CheXlocalize
    CheXpert/{val,test}/..., val_labels.csv, test_labels.csv
and, for the official test labels of studies, groundtruth.csv beside test/.
"""

import re
from collections.abc import Iterable, Iterator

from etils import epath

from transfusion_datasets import chest_xrays
from transfusion_tf.raw import errors, items, label_states, tables

WHERE = (
    "CheXpert is handed out by the Stanford AIMI center, "
    "https://stanfordaimi.azurewebsites.net (search for CheXpert): give the "
    "directory that holds train.csv and valid.csv, or its parent."
)
LABEL_FILES = {
    "train": ("train.csv",),
    "validation": ("valid.csv", "val_labels.csv"),
    "test": ("test.csv", "test_labels.csv", "groundtruth.csv"),
}
RULE = (
    "The official splits: train is train.csv, validation valid.csv, test the "
    "radiologists' labels of the test studies, each where it is there."
)

# What a folder of the CSV files may be called on disk.
_FOLDERS = {"train": ("train",), "valid": ("valid", "val"), "test": ("test",)}
_FOLDERS["val"] = _FOLDERS["valid"]
_PATH = re.compile(
    r"(?:CheXpert[^/]*/)?(?P<folder>train|valid|val|test)/"
    r"(?P<patient>patient\d{5})/(?P<study>study\d+)"
    r"(?:/(?P<file>view\d+_(?P<view>frontal|lateral)\.(?:jpg|jpeg|png)))?"
)
_STATES = {
    "1.0": label_states.POSITIVE,
    "1": label_states.POSITIVE,
    "0.0": label_states.NEGATIVE,
    "0": label_states.NEGATIVE,
    "-1.0": label_states.UNCERTAIN,
    "-1": label_states.UNCERTAIN,
    "": label_states.UNMENTIONED,
}
_SHOWN = 5  # How many names an error lists.


def check(manual_dir: epath.PathLike | None) -> epath.Path:
    """Raises unless a directory holds CheXpert in one of its layouts.

    Args:
        manual_dir: The directory of raw files, or its parent.

    Returns:
        The directory.

    Raises:
        errors.ManualDirError: Listing what was looked for, what is there,
            and where to get the rest.
    """
    if manual_dir is None or not epath.Path(manual_dir).is_dir():
        received = None if manual_dir is None else str(manual_dir)
        raise errors.ManualDirError(
            "These images must be fetched by hand. Received: manual_dir="
            f"{received!r}, which is no directory. Use --manual_dir=DIR. "
            f"{WHERE}"
        )
    root = epath.Path(manual_dir)
    if not any(_label_files(root).values()):
        names = sorted(path.name for path in root.iterdir())
        wanted = [name for names in LABEL_FILES.values() for name in names]
        raise errors.ManualDirError(
            "The directory holds none of CheXpert's label files. Received: "
            f"manual_dir={str(root)!r} with {names[:10]}. Looked for "
            f"{', '.join(wanted)} in it and in its folders CheXpert*. {WHERE}"
        )
    return root


def read(
    manual_dir: epath.PathLike | None,
    *,
    only: str | None = None,
    views: Iterable[str] = chest_xrays.VIEWS,
) -> items.Parts:
    """Reads which X-rays there are, with their labels.

    Args:
        manual_dir: The directory of raw files, or its parent.
        only: Name of the one folder to take where the parent holds several,
            "CheXpert-v1.0-small" or "CheXpert-v1.0"; `None` takes what is
            there.
        views: The views to keep.

    Returns:
        The items of every split that there is.

    Raises:
        errors.DataError: If a label file is wrong or there is more than one
            for a split, or images are missing.
    """
    root = check(manual_dir)
    found, splits = _label_files(root, only), {}
    for split, paths in found.items():
        if len(paths) > 1:
            raise errors.ManualDirError(
                f"There is more than one label file of {split}. Received: "
                f"{', '.join(str(path) for path in paths)}. Give the "
                "directory of one of them with --manual_dir=DIR."
            )
        if paths:
            # Rows of studies have no view before their images are found.
            part = _of(read_labels(paths[0]), {*views, ""})
            splits[split] = _of(_located(part, paths[0]), views)
    if not splits:
        raise errors.ManualDirError(
            f"There is no {only} here. Received: manual_dir={str(root)!r}. "
            "Give another directory, or take another configuration."
        )
    return items.Parts(splits, RULE, salt=None)


def read_labels(path: epath.PathLike) -> list[items.Item]:
    """Reads a label file; images are not looked for.

    Args:
        path: One of `LABEL_FILES`. Columns other than the path and the 14
            labels may be missing.

    Returns:
        An item a row, in the order of the file, with `path` as it stands
        there.

    Raises:
        errors.LabelFileError: If a column is missing or twice, or a value
            is none of 1, 0, -1 and empty, naming line and column.
    """
    path = epath.Path(path)
    key = "Study" if path.name == "groundtruth.csv" else "Path"
    table = tables.read_table(path, columns=[key, *chest_xrays.LABEL_NAMES])
    found = []
    for place, row in enumerate(table.rows):
        try:
            found.append(_item(table, place, row, key))
        except errors.LabelFileError as error:
            errors.report(error)
    return found


def _item(
    table: tables.Table, place: int, row: dict[str, str], key: str
) -> items.Item:
    match = _PATH.fullmatch(row[key])
    if match is None or (key == "Path") != bool(match["file"]):
        raise table.error(
            place,
            f"{key}={row[key]!r}",
            "a path such as CheXpert-v1.0/train/patient00001/study1/"
            "view1_frontal.jpg",
        )
    patient, study = match["patient"], match["study"]
    study_id = f"{patient}/{study}"
    try:
        labels = tuple(_STATES[row[name]] for name in chest_xrays.LABEL_NAMES)
    except KeyError:
        raise _bad_label(table, place, row) from None
    return items.Item(
        image_id=f"{study_id}/{(match['file'] or '').partition('.')[0]}",
        patient_id=patient,
        path=row[key],
        values={
            "labels": labels,
            "view": _view(table, place, row, match["view"]),
            "projection": _known(
                table, place, row, "AP/PA", chest_xrays.PROJECTIONS, "none"
            ),
            "sex": _known(
                table, place, row, "Sex", chest_xrays.SEXES, "Unknown"
            ),
            "age": _age(table, place, row),
            "study_id": study_id,
        },
    )


def _bad_label(
    table: tables.Table, place: int, row: dict[str, str]
) -> errors.LabelFileError:
    column = next(
        name for name in chest_xrays.LABEL_NAMES if row[name] not in _STATES
    )
    return table.error(
        place,
        f"{column}={row[column]!r}",
        "1.0 (positive), 0.0 (negative), -1.0 (uncertain) or nothing (not "
        "mentioned)",
    )


def _view(
    table: tables.Table, place: int, row: dict[str, str], from_name: str | None
) -> str:
    told = row.get("Frontal/Lateral", "").lower()
    if told and told not in chest_xrays.VIEWS:
        raise table.error(
            place,
            f"Frontal/Lateral={row['Frontal/Lateral']!r}",
            "Frontal or Lateral",
        )
    return told or from_name or ""


def _known(
    table: tables.Table,
    place: int,
    row: dict[str, str],
    column: str,
    known: tuple[str, ...],
    default: str,
) -> str:
    value = row.get(column) or default
    if value not in known:
        raise table.error(
            place, f"{column}={value!r}", f"one of {', '.join(known)}"
        )
    return value


def _age(table: tables.Table, place: int, row: dict[str, str]) -> int:
    text = row.get("Age", "")
    if not text.isdigit() and text:
        raise table.error(place, f"Age={text!r}", "an age in years")
    # Three rows of the official file have the age 0: not known.
    return int(text or 0) or chest_xrays.UNKNOWN_AGE


def _label_files(
    root: epath.Path, only: str | None = None
) -> dict[str, list[epath.Path]]:
    """Finds the label files of each split, in the folder or one below."""
    folders = [folder for folder in _folders(root) if _is_wanted(folder, only)]
    return {
        split: [
            folder / name
            for folder in folders
            for name in names
            if (folder / name).exists()
        ]
        for split, names in LABEL_FILES.items()
    }


def _folders(root: epath.Path) -> Iterator[epath.Path]:
    """The folder itself and those of CheXpert below it."""
    yield root
    for path in sorted(root.iterdir()):
        if path.name.startswith("CheXpert") and path.is_dir():
            yield path


def _is_wanted(folder: epath.Path, only: str | None) -> bool:
    if only is None:
        return True
    is_small = folder.name.endswith("-small")
    return is_small == only.endswith("-small")


def _of(part: list[items.Item], views: Iterable[str]) -> list[items.Item]:
    return [item for item in part if item.values["view"] in views]


def _located(
    part: list[items.Item], label_file: epath.Path
) -> list[items.Item]:
    """Finds the images on disk; those of study labels are all there are."""
    roots = [label_file.parent, *_batches(label_file.parent)]
    homes: dict[tuple[str, str], epath.Path | None] = {}
    found, missing = [], []
    for item in part:
        match = _PATH.fullmatch(item.path)
        key = (match["folder"], match["patient"])  # type: ignore[index]
        if key not in homes:
            homes[key] = _home(roots, *key)
        home = homes[key]
        if home is None:
            missing.append(item.path)
        elif match["file"]:  # type: ignore[index]
            path = home / match["study"] / match["file"]  # type: ignore[index]
            if path.exists():
                found.append(_at(item, path, item.image_id))
            else:
                missing.append(item.path)
        else:
            found += _study(item, home / match["study"])  # type: ignore[index]
    if missing:
        errors.report(_missing(missing, len(part), label_file))
    return found


def _batches(folder: epath.Path) -> list[epath.Path]:
    """The other batch folders of the AIMI download."""
    if " batch " not in folder.name:
        return []
    return sorted(
        path
        for path in folder.parent.iterdir()
        if " batch " in path.name and path.is_dir() and path != folder
    )


def _home(
    roots: list[epath.Path], folder: str, patient: str
) -> epath.Path | None:
    """Finds the directory of a patient."""
    for root in roots:
        for name in _FOLDERS[folder]:
            if (root / name / patient).is_dir():
                return root / name / patient
        # The batches of the AIMI download have no folder train.
        if " batch " in root.name and (root / patient).is_dir():
            return root / patient
    return None


def _study(item: items.Item, folder: epath.Path) -> list[items.Item]:
    found = []
    for path in sorted(folder.glob("view*_*.*")):
        view = "frontal" if "frontal" in path.name else "lateral"
        image_id = f"{item.values['study_id']}/{path.stem}"
        values = {**item.values, "view": view}
        found.append(items.Item(image_id, item.patient_id, str(path), values))
    return found


def _at(item: items.Item, path: epath.Path, image_id: str) -> items.Item:
    return items.Item(image_id, item.patient_id, str(path), item.values)


def _missing(
    paths: list[str], num_rows: int, label_file: epath.Path
) -> errors.MissingImageError:
    shown = ", ".join(paths[:_SHOWN]) + (", ..." if paths[_SHOWN:] else "")
    return errors.MissingImageError(
        f"{len(paths)} of {num_rows} images that {str(label_file)!r} lists "
        f"are not there. Received: no file for {shown}. Extract the archives "
        "anew, all parts, or remove these rows from the label file.",
        names=paths,
    )

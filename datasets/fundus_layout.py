"""What the layouts of fundus data sets share: grades, completeness, files."""

import os
from collections.abc import Mapping, Sequence

from etils import epath

from transfusion_tf.raw import errors, items, tables

NUM_GRADES = 5
NO_GRADE = UNKNOWN = -1
_GRADES = {str(grade): grade for grade in range(NUM_GRADES)}
_SHOWN = 8  # How many names an error lists.


def check_directory(
    manual_dir: epath.PathLike | None, wanted: str, where: str
) -> epath.Path:
    """Raises unless a directory was given and is there.

    Args:
        manual_dir: The directory of raw files.
        wanted: What it must hold, in words.
        where: Where the files come from, in words.

    Returns:
        The directory.

    Raises:
        errors.ManualDirError: Saying what to give.
    """
    if manual_dir is None:
        raise errors.ManualDirError(
            "These images must be fetched by hand. Received: manual_dir=None."
            f" Give the directory that holds {wanted} with --manual_dir=DIR. "
            f"{where}"
        )
    root = epath.Path(manual_dir)
    if not root.is_dir():
        raise errors.ManualDirError(
            f"The directory of raw files does not exist. Received: "
            f"manual_dir={str(root)!r}. Give the directory that holds "
            f"{wanted} with --manual_dir=DIR. {where}"
        )
    return root


def incomplete(
    root: epath.Path, problem: str, wanted: str, where: str, marker: str
) -> errors.ManualDirError:
    """Makes the error of a directory that is not as it should be.

    Args:
        root: The directory.
        problem: What is wrong with it.
        wanted: What was looked for.
        where: Where the files come from.
        marker: A name that the right directory holds, for a hint.
    """
    paths = sorted(root.iterdir())
    names = [path.name for path in paths]
    nested = [p for p in paths if p.is_dir() and (p / marker).exists()]
    hint = f" Did you mean --manual_dir={nested[0]}?" if nested else ""
    return errors.ManualDirError(
        f"The directory of raw files is not complete: {problem}. Received: "
        f"manual_dir={str(root)!r}.{hint}\n"
        f"Looked for: {wanted}.\n"
        f"There is: {shown(names) or 'nothing'}.\n{where}"
    )


def read_grades(
    table: tables.Table, id_column: str, grade_column: str
) -> dict[str, int]:
    """Reads the grade of each image.

    Args:
        table: The label file.
        id_column: Its column of image ids, which are unique.
        grade_column: Its column of ICDR grades.

    Returns:
        Image id to grade, in the order of the file.

    Raises:
        errors.LabelFileError: If a grade is not one of 0 to 4 or an id
            stands twice, naming the line.
    """
    grades: dict[str, int] = {}
    for place, row in enumerate(table.rows):
        name, text = row[id_column], row[grade_column]
        if text not in _GRADES:
            received = f"{grade_column} {text!r} of {id_column} {name!r}"
            expected = f"a {grade_column} of 0, 1, 2, 3 or 4"
            errors.report(table.error(place, received, expected))
        elif name in grades:
            received = f"{id_column} {name!r} again"
            errors.report(table.error(place, received, "each image once"))
        else:
            grades[name] = _GRADES[text]
    return grades


def match_files(
    names: Sequence[str],
    files: Mapping[str, epath.Path],
    folder: epath.Path,
    label_file: epath.Path,
) -> list[str]:
    """Finds the labelled images among the files of a folder.

    Args:
        names: Names of the labelled images, without suffix.
        files: Name without suffix to path, as `paths.list_images` lists them.
        folder: Where the files are, for errors.
        label_file: Where the names are from, for errors.

    Returns:
        The names that have files, in their order.

    Raises:
        errors.MissingImageError: If a labelled image has no file.
        errors.UnlabelledImageError: If a file has no label.
    """
    missing = [name for name in names if name not in files]
    if missing:
        error: errors.DataError = errors.MissingImageError(
            f"{len(missing)} of {len(names)} images that "
            f"{str(label_file)!r} lists are not in {str(folder)!r}. "
            f"Received: no file for {shown(missing)}. Extract the archives "
            "anew, all parts, or remove these rows from the label file.",
            names=missing,
        )
        errors.report(error)
    labelled = set(names)
    unlabelled = [p.name for name, p in files.items() if name not in labelled]
    if unlabelled:
        error = errors.UnlabelledImageError(
            f"{len(unlabelled)} images in {str(folder)!r} have no row in "
            f"{str(label_file)!r}. Received: {shown(unlabelled)}. Complete "
            "the label file or move these files elsewhere.",
            names=unlabelled,
        )
        errors.report(error)
    return [name for name in names if name in files]


def photograph(
    image_id: str,
    path: epath.Path,
    *,
    grade: int,
    patient_id: str | None = None,
    eye: str = "unknown",
    gradable: int = UNKNOWN,
    dme: int = UNKNOWN,
) -> items.Item:
    """Makes the item of a photograph.

    Args:
        image_id: Unique name.
        path: Its file.
        grade: ICDR grade, or `NO_GRADE`.
        patient_id: Whose eye it is; `None` where the data set does not say:
            then equal files count as one patient.
        eye: "left", "right" or "unknown".
        gradable: 1, 0, or `UNKNOWN`.
        dme: Grade of macular edema, or `UNKNOWN`.
    """
    return items.Item(
        image_id=image_id,
        patient_id=patient_id or items.content_patient_id(path),
        path=os.fspath(path),
        values={"eye": eye, "grade": grade, "gradable": gradable, "dme": dme},
    )


def shown(names: Sequence[str]) -> str:
    """Lists the first names."""
    return ", ".join(names[:_SHOWN]) + (", ..." if names[_SHOWN:] else "")

"""The official layout of part B of IDRiD, disease grading.

B. Disease Grading/1. Original Images/{a. Training Set,b. Testing Set}/*.jpg
B. Disease Grading/2. Groundtruths/a. IDRiD_Disease Grading_Training Labels.csv
                                   b. IDRiD_Disease Grading_Testing Labels.csv
"""

from etils import epath

from transfusion_datasets import fundus_layout
from transfusion_tf.raw import items, paths, tables

SALT = "transfusion_idrid"
FRACTIONS = {"train": 0.9, "validation": 0.1}
RULE = (
    "test is the official testing set; of the training set a hash gives 90 % "
    "to train and 10 % to validation. The files name no patients."
)
FOLDER = "B. Disease Grading"
IMAGES = {
    "train": "1. Original Images/a. Training Set",
    "test": "1. Original Images/b. Testing Set",
}
LABELS = {
    "train": "2. Groundtruths/a. IDRiD_Disease Grading_Training Labels.csv",
    "test": "2. Groundtruths/b. IDRiD_Disease Grading_Testing Labels.csv",
}
WHERE = (
    "The files come from IEEE DataPort, 'Indian Diabetic Retinopathy Image "
    "Dataset (IDRiD)': extract 'B. Disease Grading.zip'."
)
_NAME, _GRADE = "Image name", "Retinopathy grade"
_EDEMA = "Risk of macular edema"
_EDEMAS = {"0": 0, "1": 1, "2": 2}
_WANTED = f"'{FOLDER}' with " + ", ".join(
    f"'{name}'" for name in (*IMAGES.values(), *LABELS.values())
)


def check(manual_dir: epath.PathLike | None) -> epath.Path:
    """Raises unless a directory has the official layout.

    Args:
        manual_dir: The directory that holds "B. Disease Grading", or it.

    Returns:
        The directory "B. Disease Grading".

    Raises:
        errors.ManualDirError: Listing what was looked for and what is there.
    """
    root = fundus_layout.check_directory(manual_dir, f"'{FOLDER}'", WHERE)
    home = root / FOLDER if (root / FOLDER).is_dir() else root
    for name in (*IMAGES.values(), *LABELS.values()):
        if not (home / name).exists():
            raise fundus_layout.incomplete(
                home, f"{name!r} is missing", _WANTED, WHERE, FOLDER
            )
    return home


def read(manual_dir: epath.PathLike | None) -> items.Parts:
    """Reads which photographs there are, and their splits.

    Args:
        manual_dir: The directory that holds "B. Disease Grading", or it.

    Returns:
        The photographs of each split, and the rule in words.

    Raises:
        errors.DataError: If anything is missing, unlabelled, labelled twice
            or out of range.
    """
    home = check(manual_dir)
    train = _read_set(home, "train")
    parts = items.split_by_patient(train, fractions=FRACTIONS, salt=SALT)
    parts["test"] = _read_set(home, "test")
    return items.Parts(parts, RULE, SALT)


def _read_set(home: epath.Path, name: str) -> list[items.Item]:
    # The header of the edema column ends in a space, and the training labels
    # have columns without name: `read_table` takes neither for a fault.
    table = tables.read_table(
        home / LABELS[name], columns=[_NAME, _GRADE, _EDEMA]
    )
    grades = fundus_layout.read_grades(table, _NAME, _GRADE)
    edemas = table.parse(_EDEMA, _EDEMAS.__getitem__, "a risk of 0, 1 or 2")
    edema_of = {
        row[_NAME]: edema
        for row, edema in zip(table.rows, edemas, strict=True)
        if edema is not None
    }
    folder = home / IMAGES[name]
    files = paths.list_images(folder)
    kept = fundus_layout.match_files(
        [image for image in grades if image in edema_of],
        files,
        folder,
        table.path,
    )
    return [
        fundus_layout.photograph(
            # Both sets count from 001.
            f"{name}/{image}",
            files[image],
            grade=grades[image],
            dme=edema_of[image],
        )
        for image in kept
    ]

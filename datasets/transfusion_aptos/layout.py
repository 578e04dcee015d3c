"""The official layout of the APTOS 2019 files.

train_images/<id_code>.png   train.csv: id_code,diagnosis
test_images/                 unlabelled, not read
"""

from etils import epath

from transfusion_datasets import fundus_layout
from transfusion_tf.raw import items, paths, tables

SALT = "transfusion_aptos"
FRACTIONS = {"train": 0.7, "validation": 0.1, "test": 0.2}
RULE = (
    "Only train_images/ has labels. The files name no patients: of the "
    "different images a hash gives 70 % to train, 10 % to validation and 20 % "
    "to test, so that copies of one image are in one split."
)
LABELS = "train.csv"
WHERE = (
    "The files come from the competition 'APTOS 2019 Blindness Detection', "
    "https://www.kaggle.com/c/aptos2019-blindness-detection/data: extract "
    "train.csv and train_images.zip there."
)
# A mirror that is widely copied deals the same images out anew.
_MIRROR = ("valid.csv", "val_images", "1_train", "2_valid", "3_test")
_WANTED = f"train_images/*.png and {LABELS}"


def check(manual_dir: epath.PathLike | None) -> epath.Path:
    """Raises unless a directory has the official layout.

    Args:
        manual_dir: The directory of raw files.

    Returns:
        The directory.

    Raises:
        errors.ManualDirError: Listing what was looked for and what is there.
    """
    root = fundus_layout.check_directory(manual_dir, _WANTED, WHERE)
    problem = _problem(root)
    if problem:
        raise fundus_layout.incomplete(root, problem, _WANTED, WHERE, LABELS)
    return root


def _problem(root: epath.Path) -> str | None:
    mirrored = [name for name in _MIRROR if (root / name).exists()]
    if mirrored:
        return (
            f"{mirrored[0]} is there: this is a copy that somebody dealt out "
            "to train, validation and test image by image, with copies of one "
            "image in several of them; take the official files"
        )
    if not (root / LABELS).exists():
        return f"{LABELS} is missing"
    if not (root / "train_images").is_dir():
        return "the folder train_images/ is missing"
    return None


def read(manual_dir: epath.PathLike | None) -> items.Parts:
    """Reads which photographs there are and gives each image a split.

    Every file is read once, to find copies.

    Args:
        manual_dir: The directory of raw files.

    Returns:
        The photographs of each split, and the rule in words.

    Raises:
        errors.DataError: If anything is missing, unlabelled, labelled twice
            or out of range.
    """
    root = check(manual_dir)
    table = tables.read_table(root / LABELS, columns=["id_code", "diagnosis"])
    grades = fundus_layout.read_grades(table, "id_code", "diagnosis")
    folder = root / "train_images"
    files = paths.list_images(folder)
    names = fundus_layout.match_files(list(grades), files, folder, table.path)
    found = [
        fundus_layout.photograph(name, files[name], grade=grades[name])
        for name in names
    ]
    parts = items.split_by_patient(found, fractions=FRACTIONS, salt=SALT)
    return items.Parts(parts, RULE, SALT)

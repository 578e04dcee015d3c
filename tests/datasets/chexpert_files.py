"""CheXpert's files in each layout, made on the fly."""

import csv
import pathlib

import numpy as np
from PIL import Image

from transfusion_datasets import chest_xrays

HEADER = ("Path", "Sex", "Age", "Frontal/Lateral", "AP/PA")
BLANK = ("",) * 14


def row(path: str, labels: tuple[str, ...] = BLANK, **values: str) -> list[str]:
    told = {
        "Sex": "Female",
        "Age": "61",
        "Frontal/Lateral": "Lateral" if "lateral" in path else "Frontal",
        "AP/PA": "" if "lateral" in path else "AP",
    } | values
    return [path, *(told[name] for name in HEADER[1:]), *labels]


def write_csv(
    path: pathlib.Path,
    rows: list[list[str]],
    header: tuple[str, ...] = (*HEADER, *chest_xrays.LABEL_NAMES),
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def write_image(path: pathlib.Path, tone: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    grey = np.full((20, 24), tone % 256, np.uint8)
    Image.fromarray(grey).save(path)


STUDIES = [
    (patient, f"study{1 + patient % 2}/view1_{view}.jpg")
    for patient in (1, 21513, 21514, 43017, 43018, 64540)
    for view in ("frontal", "lateral")
]
VALID = [(64541, "study1/view1_frontal.jpg")]
TEST = [
    (64741, "study1/view1_frontal.jpg"),
    (64742, "study1/view2_lateral.jpg"),
]


def rows(prefix: str, images: list[tuple[int, str]]) -> list[list[str]]:
    return [row(f"{prefix}/patient{p:05d}/{tail}") for p, tail in images]


def write_images(root: pathlib.Path, images: list[tuple[int, str]]) -> None:
    for tone, (patient, tail) in enumerate(images):
        write_image(root / f"patient{patient:05d}" / tail, patient + tone)


def write_version(root: pathlib.Path, name: str) -> pathlib.Path:
    """The layout of CheXpert-v1.0 and CheXpert-v1.0-small."""
    folder = root / name
    write_csv(folder / "train.csv", rows(f"{name}/train", STUDIES))
    write_csv(folder / "valid.csv", rows(f"{name}/valid", VALID))
    write_images(folder / "train", STUDIES)
    write_images(folder / "valid", VALID)
    return folder


def write_batches(root: pathlib.Path) -> pathlib.Path:
    """The AIMI download, whose CSV files speak of other folders."""
    first = root / "CheXpert-v1.0 batch 1 (validate & csv)"
    write_csv(first / "train.csv", rows("CheXpert-v1.0/train", STUDIES))
    write_csv(first / "valid.csv", rows("CheXpert-v1.0/valid", VALID))
    write_images(first / "valid", VALID)
    bounds = (0, 21514, 43018, 64541)
    for number in (1, 2, 3):
        low, high = bounds[number - 1 : number + 1]
        write_images(
            root / f"CheXpert-v1.0 batch {number + 1} (train {number})",
            [image for image in STUDIES if low <= image[0] < high],
        )
    return first


def write_chexlocalize(root: pathlib.Path) -> pathlib.Path:
    """Validation and test alone, the test labels without Sex and the like."""
    folder = root / "CheXpert"
    write_csv(folder / "val_labels.csv", rows("CheXpert-v1.0/valid", VALID))
    write_csv(
        folder / "test_labels.csv",
        [[r[0], *r[5:]] for r in rows("test", TEST)],
        ("Path", *chest_xrays.LABEL_NAMES),
    )
    write_images(folder / "val", VALID)
    write_images(folder / "test", TEST)
    return folder

"""Makes directories in the official EyePACS layout, with simple discs."""

import csv
import pathlib

import numpy as np
from PIL import Image

SIZE = (72, 96)  # Height, width.
RADIUS = 30.0


def disc(
    *,
    shape: tuple[int, int] = SIZE,
    centre: tuple[float, float] | None = None,
    radius: float = RADIUS,
    seed: int = 0,
) -> np.ndarray:
    """A field of view of random tone; centre is (x, y) in pixels."""
    x0, y0 = centre or (shape[1] / 2, shape[0] / 2)
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    inside = np.hypot(x - x0, y - y0) < radius
    tone = np.random.default_rng(seed).integers(90, 250, 3)
    return np.uint8(inside[..., None] * tone)


def write(
    root: pathlib.Path,
    *,
    folder: str = "train",
    labels: str = "trainLabels.csv",
    patients: range = range(60),
    header: tuple[str, ...] = ("image", "level"),
) -> list[tuple[str, ...]]:
    """Writes two eyes a patient and their labels; returns the rows."""
    (root / folder).mkdir(parents=True, exist_ok=True)
    rows = []
    for patient in patients:
        for side, eye in enumerate(("left", "right")):
            image_id = f"{patient}_{eye}"
            photograph = disc(seed=2 * patient + side)
            path = root / folder / f"{image_id}.jpeg"
            Image.fromarray(photograph).save(path, quality=95)
            row = (image_id, str((patient + side) % 5), "Private")
            rows.append(row[: len(header)])
    write_labels(root / labels, rows, header=header)
    return rows


def write_test_folder(root: pathlib.Path, *, patients: range) -> None:
    write(
        root,
        folder="test",
        labels="retinopathy_solution.csv",
        patients=patients,
        header=("image", "level", "Usage"),
    )


def write_labels(
    path: pathlib.Path,
    rows: list[tuple[str, ...]],
    *,
    header: tuple[str, ...] = ("image", "level"),
) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])

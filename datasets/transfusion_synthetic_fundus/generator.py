"""Draws fundus photographs whose grade shows in lesions, not in colour.

An eye is drawn from a random stream of its own (seed, patient, eye) in
coordinates in which the field of view is the unit circle, so that every image
size shows the same eye. What distinguishes the grades are small lesions with
sharp borders. Larger, softer spots of the same colours (drusen, nevi, pigment,
reflections), vessel density, pigmentation and exposure vary as much but do not
depend on the grade, so that colour statistics alone do not give it away.
"""

import dataclasses
import math

import numpy as np

from transfusion_datasets import canvas, processing
from transfusion_datasets.transfusion_synthetic_fundus import lesions
from transfusion_tf.raw import images, items

VERSION = 1
SEED = 20191205
# Re-balanced: 40 % referable, where screening programmes see about 20 %.
GRADE_PRIOR = (0.42, 0.18, 0.22, 0.10, 0.08)
# Of the 26,788 patients of the EyePACS test set, 87.6 % have one grade.
SAME_GRADE = 0.876
EYES = ("left", "right")
NUM_PATIENTS = {"train": 200, "validation": 50, "test": 100}

_EXTENT = 1.05  # Half the side of the image, in radii of the field.


@dataclasses.dataclass(frozen=True)
class _Patient:
    """What both eyes of a patient share."""

    pigment: np.ndarray
    vessel_density: float
    vessel_tone: np.ndarray


def patients(split: str) -> list[items.Item]:
    """Lists the eyes of a split, two for each patient.

    Args:
        split: `train`, `validation` or `test`.

    Returns:
        The photographs in order of patient; grades follow `GRADE_PRIOR` as
        nearly as the number of patients permits.

    Example:
    >>> [eye.image_id for eye in patients("validation")[:2]]
    ['s0200_left', 's0200_right']
    """
    first = sum(list(NUM_PATIENTS.values())[: list(NUM_PATIENTS).index(split)])
    grades = _patient_grades(NUM_PATIENTS[split], first)
    return [
        items.Item(
            image_id=f"s{first + i:04d}_{eye}",
            patient_id=f"s{first + i:04d}",
            values={"eye": eye, "grade": int(grades[i][j])},
        )
        for i in range(NUM_PATIENTS[split])
        for j, eye in enumerate(EYES)
    ]


def _patient_grades(num_patients: int, first: int) -> np.ndarray:
    """Draws grades of shape `[num_patients, 2]` with stratified counts."""
    rng = np.random.default_rng([SEED, 1, first])
    edges = np.round(np.cumsum(GRADE_PRIOR) * num_patients).astype(int)
    grades = np.searchsorted(edges, np.arange(num_patients), side="right")
    pairs = np.stack([rng.permutation(grades)] * 2, axis=1)
    differs = rng.random(num_patients) >= SAME_GRADE
    shift = rng.choice([-1, 1], num_patients) * differs
    other = np.clip(pairs[:, 0] + shift, 0, len(GRADE_PRIOR) - 1)
    side = rng.integers(0, 2, num_patients)
    pairs[np.arange(num_patients), side] = other
    return pairs


def process(item: items.Item, *, size: int) -> processing.Processed:
    """Draws an eye as an example of `features.fundus()`.

    Args:
        item: Which eye, and its grade.
        size: Side of the square image, pixels.
    """
    return processing.Processed(
        {
            "image": images.encode_jpeg(draw(item, size)),
            "image_id": item.image_id,
            "patient_id": item.patient_id,
            **item.values,
        }
    )


def draw(photograph: items.Item, size: int) -> np.ndarray:
    """Draws one eye.

    Args:
        photograph: Which eye, and its grade.
        size: Side of the square image, pixels.

    Returns:
        The image, shape `[size, size, 3]`, uint8, RGB.

    Example:
    >>> eye = patients("test")[0]
    >>> draw(eye, 32).shape
    (32, 32, 3)
    """
    number = int(photograph.patient_id.removeprefix("s"))
    side = EYES.index(photograph.values["eye"])
    patient = _draw_patient(np.random.default_rng([SEED, 2, number]))
    # One stream a purpose: what is drawn of the retina and the camera is
    # the same whatever lesions are drawn.
    retina, spots, camera = (
        np.random.default_rng([SEED, purpose, number, side])
        for purpose in (3, 4, 5)
    )
    # Small images are drawn at twice their size against aliasing.
    factor = 2 if size <= 128 else 1
    picture = canvas.Canvas(size * factor, _EXTENT)
    nasal = -1.0 if photograph.values["eye"] == "left" else 1.0
    disc = _draw_retina(picture, patient, nasal, retina)
    lesions.draw_distractors(picture, disc, retina)
    lesions.draw_lesions(picture, photograph.values["grade"], disc, spots)
    return _expose(picture, factor, camera)


def _draw_patient(rng: np.random.Generator) -> _Patient:
    pigment = np.array([0.72, 0.38, 0.18]) * np.exp(
        rng.normal(0, [0.12, 0.22, 0.30])
    )
    return _Patient(
        pigment=pigment,
        vessel_density=rng.uniform(0.6, 1.6),
        vessel_tone=np.array([0.75, 0.48, 0.55]) * rng.uniform(0.85, 1.15),
    )


def _draw_retina(
    picture: canvas.Canvas,
    patient: _Patient,
    nasal: float,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """Draws background, macula, vessels and disc; returns the disc's place."""
    picture.image[:] = patient.pigment
    for cells, strength in ((4, 0.10), (12, 0.05), (40, 0.05)):
        texture = picture.noise(cells, rng)
        picture.image *= (1 + strength * texture)[..., None]
    disc = (nasal * rng.uniform(0.42, 0.56), rng.uniform(-0.1, 0.1))
    macula = (disc[0] - nasal * rng.uniform(0.48, 0.56), disc[1] + 0.04)
    picture.shade(macula, 0.24, np.array([0.62, 0.55, 0.6]))
    _draw_vessels(picture, patient, disc, -nasal, rng)
    radius = rng.uniform(0.14, 0.18)
    tone = np.array([0.95, 0.78, 0.52]) * rng.uniform(0.85, 1.1)
    picture.blob(disc, (radius, radius * 1.08), colour=tone, softness=0.03)
    cup = radius * rng.uniform(0.3, 0.6)
    picture.blob(disc, (cup, cup), colour=tone * 1.12, softness=0.03)
    return disc


def _draw_vessels(
    picture: canvas.Canvas,
    patient: _Patient,
    disc: tuple[float, float],
    temporal: float,
    rng: np.random.Generator,
) -> None:
    lines: list[tuple[float, ...]] = []
    for up in (-1.0, 1.0):
        # The temporal arcades bend around the macula, the nasal ones do not.
        for heading, bend in ((1.15, -0.06), (0.75, 0.03), (2.4, 0.02)):
            angle = math.atan2(up * math.sin(heading), math.cos(heading))
            angle = angle if temporal > 0 else math.pi - angle
            angle += rng.normal(0, 0.12)
            turn = bend * up * temporal
            for width in (0.017, 0.024):  # An artery beside a vein.
                start = (disc[0], disc[1] + rng.normal(0, 0.02))
                path = _Path(start, angle + rng.normal(0, 0.1), turn, width)
                _grow(lines, path, patient.vessel_density, rng, depth=2)
    cover = picture.strokes(np.array(lines))
    tint = 1 - cover[..., None] * (1 - patient.vessel_tone)
    picture.image *= tint


@dataclasses.dataclass(frozen=True)
class _Path:
    start: tuple[float, float]
    angle: float
    turn: float
    width: float


def _grow(
    lines: list[tuple[float, ...]],
    path: _Path,
    density: float,
    rng: np.random.Generator,
    depth: int,
) -> None:
    """Adds the pieces of a vessel to `lines` and lets it branch."""
    (x, y), angle, width = path.start, path.angle, path.width
    for _ in range(6 + 5 * depth):
        angle += path.turn + rng.normal(0, 0.09)
        end = (x + 0.075 * math.cos(angle), y + 0.075 * math.sin(angle))
        lines.append((x, y, *end, width))
        x, y = end
        width *= 0.965
        if math.hypot(x, y) > 1:
            return
        if depth and rng.random() < 0.12 * density:
            fork = angle + rng.choice([-1, 1]) * rng.uniform(0.4, 0.9)
            branch = _Path((x, y), fork, path.turn * 0.3, width * 0.7)
            _grow(lines, branch, density, rng, depth - 1)


def _expose(
    picture: canvas.Canvas, factor: int, rng: np.random.Generator
) -> np.ndarray:
    """Lights the retina, takes the picture and quantises it."""
    x, y = picture.grid
    slope = rng.normal(0, 0.16, 2)
    light = 1 - 0.3 * rng.uniform(0.3, 1.3) * (x**2 + y**2)
    light = np.clip(light + slope[0] * x + slope[1] * y, 0.15, None)
    image = picture.image * light[..., None]
    image = image * np.exp(rng.normal(0, 0.18)) * np.exp(rng.normal(0, 0.06, 3))
    if rng.random() < 0.2:  # Degraded quality: haze, or a moved eye.
        haze = rng.uniform(0.1, 0.35)
        image = image * (1 - haze) + haze * rng.uniform(0.3, 0.6)
        image = canvas.blur(image, factor * rng.uniform(0.3, 1.0))
    radius = rng.uniform(0.95, 1.0)
    field = np.clip((radius - np.hypot(x, y)) / picture.pixel + 0.5, 0, 1)
    image = canvas.shrink(image * field[..., None], factor)
    image = np.clip(image, 0, None) ** rng.uniform(0.8, 1.3)
    image = image + rng.normal(0, rng.uniform(0.004, 0.016), image.shape)
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)

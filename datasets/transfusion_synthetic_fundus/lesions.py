"""The lesions of each ICDR grade, and the spots that are no lesions."""

import math

import numpy as np

from transfusion_datasets import canvas

_DARK = np.array([0.45, 0.25, 0.30])
_BRIGHT = np.array([0.92, 0.78, 0.42])
_PALE = np.array([0.88, 0.80, 0.62])

_Point = tuple[float, float]

# Lesion -> least and most of it at grades 0 to 4, after the international
# clinical diabetic retinopathy scale: 1 has microaneurysms only, 2 more than
# that, 3 many haemorrhages, 4 new vessels or preretinal haemorrhage.
COUNTS: dict[str, tuple[tuple[int, int], ...]] = {
    "microaneurysm": ((0, 0), (2, 6), (5, 12), (10, 22), (8, 22)),
    "haemorrhage": ((0, 0), (0, 0), (4, 10), (14, 24), (8, 22)),
    "exudate": ((0, 0), (0, 0), (0, 12), (0, 16), (0, 16)),
    "cotton_wool": ((0, 0), (0, 0), (0, 1), (1, 4), (0, 3)),
    "new_vessels": ((0, 0), (0, 0), (0, 0), (0, 0), (1, 3)),
    "preretinal": ((0, 0), (0, 0), (0, 0), (0, 0), (0, 2)),
}


def draw_lesions(
    picture: canvas.Canvas,
    grade: int,
    disc: _Point,
    rng: np.random.Generator,
) -> None:
    """Draws what a grade shows.

    Args:
        picture: The retina, changed in place.
        grade: ICDR severity, 0 to 4.
        disc: Centre of the optic disc, which lesions keep clear of.
        rng: The stream to draw from.
    """
    for lesion, ranges in COUNTS.items():
        low, high = ranges[grade]
        for _ in range(rng.integers(low, high + 1)):
            place = _somewhere(disc, rng)
            _DRAW[lesion](picture, place, rng)


def _somewhere(disc: _Point, rng: np.random.Generator) -> _Point:
    while True:
        radius, angle = 0.85 * math.sqrt(rng.random()), rng.uniform(0, math.tau)
        x, y = radius * math.cos(angle), radius * math.sin(angle)
        if math.hypot(x - disc[0], y - disc[1]) > 0.22:
            return x, y


def _microaneurysm(
    picture: canvas.Canvas, place: _Point, rng: np.random.Generator
) -> None:
    radius = rng.uniform(0.016, 0.024)
    picture.blob(place, (radius, radius), tint=_DARK, opacity=0.9)


def _haemorrhage(
    picture: canvas.Canvas, place: _Point, rng: np.random.Generator
) -> None:
    radius, stretch = rng.uniform(0.026, 0.046), rng.uniform(1, 1.8)
    picture.blob(
        place,
        (radius * stretch, radius),
        angle=rng.uniform(0, math.pi),
        tint=_DARK * rng.uniform(0.8, 1.1),
        ripple=(0.2, rng.uniform(0, math.tau)),
    )


def _exudate(
    picture: canvas.Canvas, place: _Point, rng: np.random.Generator
) -> None:
    for _ in range(rng.integers(1, 4)):
        near = (place[0] + rng.normal(0, 0.06), place[1] + rng.normal(0, 0.06))
        radius = rng.uniform(0.016, 0.032)
        picture.blob(near, (radius, radius), colour=_BRIGHT, opacity=0.9)


def _cotton_wool(
    picture: canvas.Canvas, place: _Point, rng: np.random.Generator
) -> None:
    radius = rng.uniform(0.04, 0.07)
    picture.blob(
        place,
        (radius * 1.4, radius),
        angle=rng.uniform(0, math.pi),
        colour=_PALE,
        softness=0.04,
        opacity=0.7,
        ripple=(0.25, rng.uniform(0, math.tau)),
    )


def _new_vessels(
    picture: canvas.Canvas, place: _Point, rng: np.random.Generator
) -> None:
    lines = []
    for _ in range(rng.integers(6, 12)):
        start, angle = place, rng.uniform(0, math.tau)
        for _ in range(5):
            angle += rng.normal(0, 0.8)
            end = (
                start[0] + 0.035 * math.cos(angle),
                start[1] + 0.035 * math.sin(angle),
            )
            lines.append((*start, *end, 0.013))
            start = end
    cover = picture.strokes(np.array(lines))
    picture.image *= 1 - cover[..., None] * (1 - _DARK)


def _preretinal(
    picture: canvas.Canvas, place: _Point, rng: np.random.Generator
) -> None:
    radius = rng.uniform(0.1, 0.18)
    picture.blob(place, (radius, radius * 0.5), tint=_DARK, softness=0.015)


_DRAW = {
    "microaneurysm": _microaneurysm,
    "haemorrhage": _haemorrhage,
    "exudate": _exudate,
    "cotton_wool": _cotton_wool,
    "new_vessels": _new_vessels,
    "preretinal": _preretinal,
}


def draw_distractors(
    picture: canvas.Canvas, disc: _Point, rng: np.random.Generator
) -> None:
    """Draws spots of the lesions' colours that say nothing of the grade.

    They are larger and softer than lesions. Their number spreads so widely
    that the area of a colour says little.

    Args:
        picture: The retina, changed in place.
        disc: Centre of the optic disc.
        rng: The stream to draw from.
    """
    for _ in range(_many(12, rng)):  # Drusen.
        _soft_spot(picture, _somewhere(disc, rng), (0.03, 0.07), rng, _BRIGHT)
    for _ in range(_many(12, rng)):  # Pigment.
        _soft_spot(picture, _somewhere(disc, rng), (0.03, 0.08), rng)
    for _ in range(rng.integers(0, 4)):  # Nevi.
        _soft_spot(picture, _somewhere(disc, rng), (0.08, 0.2), rng)
    for _ in range(rng.integers(0, 3)):  # Reflections of the lens.
        _soft_spot(picture, _somewhere(disc, rng), (0.08, 0.25), rng, _PALE)


def _many(mean: float, rng: np.random.Generator) -> int:
    """Draws a number with a spread as large as its mean."""
    return min(int(rng.exponential(mean)), int(4 * mean))


def _soft_spot(
    picture: canvas.Canvas,
    place: _Point,
    radii: tuple[float, float],
    rng: np.random.Generator,
    colour: np.ndarray | None = None,
) -> None:
    radius = rng.uniform(*radii)
    picture.blob(
        place,
        (radius * rng.uniform(1, 1.4), radius),
        angle=rng.uniform(0, math.pi),
        colour=colour,
        tint=_DARK,
        softness=radius * 1.6,
        opacity=rng.uniform(0.4, 0.9),
    )

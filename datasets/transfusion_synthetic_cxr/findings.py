"""The five findings of the paper, and shadows that are none of them."""

import math
from collections.abc import Callable, Iterable

import numpy as np

from transfusion_datasets.transfusion_synthetic_cxr import anatomy

_Point = tuple[float, float]
_Draw = Callable[[anatomy.Film, anatomy.Chest, np.random.Generator], None]


def draw(
    film: anatomy.Film,
    chest: anatomy.Chest,
    drawn: Iterable[str],
    streams: Iterable[np.random.Generator],
) -> None:
    """Draws findings: each of them fills air.

    Args:
        film: The healthy chest, changed in place.
        chest: Its measures.
        drawn: Which findings.
        streams: A stream for each of `DRAW`, in its order, so that none
            depends on whether another is drawn.
    """
    for (name, finding), stream in zip(DRAW.items(), streams, strict=True):
        if name in drawn:
            finding(film, chest, stream)


def _atelectasis(
    film: anatomy.Film, chest: anatomy.Chest, rng: np.random.Generator
) -> None:
    """Draws bands of collapsed lung above a raised base."""
    side = rng.choice(anatomy.SIDES)
    raised = rng.uniform(0.11, 0.18)
    below = film.y - chest.dome(side, side * film.x) + raised
    film.air.image *= 1 - film.inside(below) * film.inside(side * film.x)
    tilt = rng.normal(0, 0.15)
    for _ in range(rng.integers(2, 4)):
        out = rng.uniform(0.45, 0.65) * chest.width
        y = chest.dome(side, out) - raised - rng.uniform(0.07, 0.28)
        film.fill_blob(
            (side * out, y),
            (rng.uniform(0.24, 0.34) * chest.width, rng.uniform(0.02, 0.028)),
            rng.uniform(0.65, 0.9),
            angle=tilt + rng.normal(0, 0.05),
            softness=0.03,
        )


def _cardiomegaly(
    film: anatomy.Film, chest: anatomy.Chest, rng: np.random.Generator
) -> None:
    """Draws a heart about 1.55 times as wide, measured across."""
    centre, radii, angle = chest.heart_shape(rng.uniform(1.5, 1.7))
    film.fill_blob(centre, radii, angle=angle, softness=0.03)


def _consolidation(
    film: anatomy.Film, chest: anatomy.Chest, rng: np.random.Generator
) -> None:
    """Draws a patch of filled lung with a soft border."""
    side = rng.choice(anatomy.SIDES)
    centre = (
        side * rng.uniform(0.45, 0.72) * chest.width,
        rng.uniform(chest.apex + 0.38, min(chest.domes) - 0.15),
    )
    radius = rng.uniform(0.17, 0.25)
    film.fill_blob(
        centre,
        (radius, radius * rng.uniform(0.8, 1.3)),
        rng.uniform(0.75, 0.95),
        angle=rng.uniform(0, math.pi),
        softness=0.6 * radius,
        ripple=(0.15, rng.uniform(0, math.tau)),
    )


def _edema(
    film: anatomy.Film, chest: anatomy.Chest, rng: np.random.Generator
) -> None:
    """Draws haze about the roots of both lungs, and a net of fine lines."""
    out = np.abs(film.x) / chest.width
    wing = ((out - 0.35) / 0.28) ** 2 + ((film.y + 0.02) / 0.3) ** 2
    haze = rng.uniform(0.2, 0.45) * np.exp(-wing / 2)
    texture = film.air.noise(32, rng)
    net = np.exp(-((texture / 0.25) ** 2)) * np.exp(-wing / 8)
    film.air.image *= (1 - haze)[..., None]
    film.air.image *= (1 - rng.uniform(0.25, 0.4) * net)[..., None]


def _effusion(
    film: anatomy.Film, chest: anatomy.Chest, rng: np.random.Generator
) -> None:
    """Draws fluid that stands higher at the wall, on one side or both."""
    both = rng.random() < 0.4
    sides = anatomy.SIDES if both else (rng.choice(anatomy.SIDES),)
    for side in sides:
        out = side * film.x
        rise = np.exp(np.minimum(out - chest.width, 0) / 0.12)
        depth = rng.uniform(0.16, 0.45)
        level = chest.dome(side, chest.width) - depth * (1 + 0.5 * rise)
        fluid = film.inside(film.y - level, softness=0.04)
        film.air.image *= 1 - fluid * film.inside(out)


# In the order of the columns of CheXpert.
DRAW: dict[str, _Draw] = {
    "Cardiomegaly": _cardiomegaly,
    "Edema": _edema,
    "Consolidation": _consolidation,
    "Atelectasis": _atelectasis,
    "Pleural Effusion": _effusion,
}


def draw_distractors(
    film: anatomy.Film, chest: anatomy.Chest, rng: np.random.Generator
) -> None:
    """Draws shadows that say nothing of the findings.

    Args:
        film: The chest, changed in place.
        chest: Its measures.
        rng: The stream to draw from.
    """
    mottle, slope = rng.uniform(0, 0.25), rng.uniform(-0.4, 0.4)
    uneven = mottle * np.abs(film.air.noise(12, rng)) + slope * film.y
    film.air.image *= np.clip(1 - uneven, 0, None)[..., None]
    if rng.random() < 0.35:  # Nipples.
        for side in anatomy.SIDES:
            radius = rng.uniform(0.02, 0.032)
            place = (side * rng.uniform(0.35, 0.42), rng.uniform(0.22, 0.36))
            film.add_blob(place, (radius, radius), 0.15)
    for _ in range(rng.integers(0, 4)):  # Moles, buttons, old scars.
        radius = rng.uniform(0.015, 0.05)
        place = (rng.uniform(-0.7, 0.7), rng.uniform(-0.7, 0.8))
        film.add_blob(
            place, (radius, radius), rng.uniform(0.05, 0.25), softness=radius
        )
    for _ in range(rng.integers(0, 4)):  # Clothes, fat, scattered rays.
        radius = rng.uniform(0.25, 0.7)
        place = (rng.uniform(-0.8, 0.8), rng.uniform(-0.8, 0.8))
        film.add_blob(
            place,
            (radius, radius * rng.uniform(0.6, 1.4)),
            rng.normal(0, 0.1),
            angle=rng.uniform(0, math.pi),
            softness=radius,
        )
    if rng.random() < 0.3:  # Folds of the skin.
        x, y = rng.uniform(-0.6, 0.6), rng.uniform(-0.3, 0.3)
        angle = rng.uniform(0.9, 2.2)
        dx, dy = 0.35 * math.cos(angle), 0.35 * math.sin(angle)
        film.add_lines(np.array([(x - dx, y - dy, x + dx, y + dy, 0.03)]), 0.08)


def draw_devices(
    film: anatomy.Film, chest: anatomy.Chest, rng: np.random.Generator
) -> None:
    """Draws lines, tubes, electrodes or a pacemaker.

    Args:
        film: The chest, changed in place.
        chest: Its measures.
        rng: The stream to draw from.
    """
    kinds = (_central_line, _electrodes, _breathing_tube, _feeding_tube, _pacer)
    for place in rng.choice(len(kinds), rng.integers(1, 4), replace=False):
        kinds[place](film, chest, rng)


def _central_line(
    film: anatomy.Film, chest: anatomy.Chest, rng: np.random.Generator
) -> None:
    side = rng.choice(anatomy.SIDES)
    _add_path(
        film,
        [
            (side * rng.uniform(0.45, 0.7), -1.0),
            (side * rng.uniform(0.35, 0.5), chest.apex + 0.25),
            (side * 0.15, chest.apex + 0.3),
            (-0.1, -0.3),
            (-0.11, rng.uniform(-0.15, 0.05)),
        ],
        0.016,
    )


def _electrodes(
    film: anatomy.Film, chest: anatomy.Chest, rng: np.random.Generator
) -> None:
    for _ in range(rng.integers(2, 6)):
        side = rng.choice(anatomy.SIDES)
        x, y = side * rng.uniform(0.2, 0.75), rng.uniform(-0.6, 0.6)
        film.add_blob((x, y), (0.028, 0.028), 0.5)
        bend = (x + side * rng.uniform(0.0, 0.2), y - rng.uniform(0.1, 0.4))
        _add_path(film, [(x, y), bend, (side * rng.uniform(0.1, 0.9), -1.1)])


def _breathing_tube(
    film: anatomy.Film, chest: anatomy.Chest, rng: np.random.Generator
) -> None:
    x = chest.turn / 2
    tip = (x + rng.normal(0, 0.01), rng.uniform(-0.5, -0.3))
    _add_path(film, [(x + rng.normal(0, 0.02), -1.1), (x, -0.7), tip], 0.022)


def _feeding_tube(
    film: anatomy.Film, chest: anatomy.Chest, rng: np.random.Generator
) -> None:
    bottom = chest.domes[1] + 0.05
    _add_path(
        film,
        [
            (rng.normal(0, 0.02), -1.1),
            (0.02, -0.2),
            (0.03, bottom - 0.1),
            (0.12, bottom + 0.05),
            (rng.uniform(0.2, 0.4), bottom + rng.uniform(0.1, 0.3)),
        ],
    )


def _pacer(
    film: anatomy.Film, chest: anatomy.Chest, rng: np.random.Generator
) -> None:
    side = 1.0 if rng.random() < 0.85 else -1.0
    x, y = side * rng.uniform(0.42, 0.55), rng.uniform(-0.52, -0.4)
    film.add_blob((x, y), (0.1, 0.085), 0.7, angle=rng.uniform(-0.5, 0.5))
    (heart_x, heart_y), _, _ = chest.heart_shape()
    _add_path(
        film,
        [
            (x, y),
            (side * 0.2, chest.apex + 0.25),
            (-0.1, -0.3),
            (-0.1, heart_y - 0.1),
            (heart_x + 0.08, heart_y + 0.14),
        ],
    )


def _add_path(
    film: anatomy.Film, places: list[_Point], width: float = 0.013
) -> None:
    """Adds a wire through some places, its corners rounded."""
    path = np.array(places)
    for _ in range(2):
        start, end = path[:-1], path[1:]
        cut = np.stack([0.75 * start + 0.25 * end, 0.25 * start + 0.75 * end])
        rounded = cut.transpose(1, 0, 2).reshape(-1, 2)
        path = np.concatenate([path[:1], rounded, path[-1:]])
    widths = np.full((len(path) - 1, 1), width)
    film.add_lines(np.hstack([path[:-1], path[1:], widths]), 0.45)

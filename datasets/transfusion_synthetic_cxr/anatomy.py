"""The healthy chest: its air, its tissue and its bones.

Coordinates are the body's: x to the right of the picture, which is the left of
the patient, and y downwards; the picture reaches from -1 to 1 where the body
is neither moved nor magnified.
"""

import dataclasses
import math
from typing import Any

import numpy as np

from transfusion_datasets import canvas

SIDES = (-1.0, 1.0)  # Left and right of the picture.

_Point = tuple[float, float]
_WIDEST = 0.3  # Height at which the rib cage is widest.
_TOP = 0.28  # Distance of the lungs' tops from the middle.
_LUNG_EDGE = 0.014
_AP_HEART = 1.08  # Nearer to the source, the heart throws a larger shadow.
_AP_ZOOM = 1.04


@dataclasses.dataclass(frozen=True)
class Chest:
    """A chest as it is on one day.

    Attributes:
        width: Half the inner width of the rib cage.
        apex: Height of the lungs' tops.
        domes: Height of the diaphragm left and right of the picture.
        heart: Width of the heart as a share of that of the rib cage.
        wall: Thickness of the chest wall at the side.
        density: How much the tissue holds back.
        air: How much less the lungs hold back.
        turn: How far the middle is shifted since the patient is turned.
        slope: How much denser the right of the picture is, for that reason.
        ribs: Distance of the ribs, height of the first, density.
        breasts: Density of the breasts' shadows.
        scapulae: How far the shoulder blades lie over the lungs.
        stomach: Size of the bubble of air in the stomach.
        vessels: Vessels of the lungs: x, y, x, y, width.
    """

    width: float
    apex: float
    domes: tuple[float, float]
    heart: float
    wall: float
    density: float
    air: float
    turn: float
    slope: float
    ribs: tuple[float, float, float]
    breasts: float
    scapulae: float
    stomach: float
    vessels: np.ndarray

    def outer(self, y: np.ndarray) -> np.ndarray:
        """Finds how far out the lungs reach at a height."""
        return _TOP + (self.width - _TOP) * np.sqrt(1 - self._up(y) ** 2.6)

    def inner(self, y: np.ndarray) -> np.ndarray:
        """Finds how far in the lungs reach at a height."""
        return _TOP - (_TOP - 0.04) * np.sqrt(1 - self._up(y) ** 4)

    def _up(self, y: np.ndarray) -> np.ndarray:
        return np.clip((_WIDEST - y) / (_WIDEST - self.apex), 0, 1)

    def dome(self, side: float, out: np.ndarray | float) -> np.ndarray:
        """Finds the height of the diaphragm.

        Args:
            side: One of `SIDES`.
            out: Distance from the middle.
        """
        share = np.asarray(out) / self.width
        return self.domes[SIDES.index(side)] + self.width * (
            0.75 * (share - 0.42) ** 2 + 1.5 * np.clip(share - 0.8, 0, 1) ** 2
        )

    def heart_shape(
        self, stretch: float = 1.0
    ) -> tuple[_Point, tuple[float, float], float]:
        """Places the heart; `stretch` widens it. Centre, half axes, angle."""
        width = 2 * self.width * self.heart * stretch
        height = 0.25 * (0.75 + 0.25 * stretch)
        bottom = max(self.domes) + 0.02
        # Three eighths of it lie left of the middle.
        return (
            (self.turn + width / 8, bottom - 0.9 * height),
            (width / 2, height),
            0.3,
        )


@dataclasses.dataclass(frozen=True)
class Pose:
    """How the body lies on the film: turned, magnified, moved."""

    angle: float
    zoom: float
    shift: _Point

    def to_body(
        self, x: np.ndarray, y: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Finds what part of the body is seen at places of the picture."""
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        x, y = (x - self.shift[0]) / self.zoom, (y - self.shift[1]) / self.zoom
        return x * cos + y * sin, y * cos - x * sin

    def to_film(
        self, x: np.ndarray, y: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Finds where parts of the body are seen in the picture."""
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        x, y = x * cos - y * sin, y * cos + x * sin
        return self.zoom * x + self.shift[0], self.zoom * y + self.shift[1]


class Film:
    """What the rays meet on their way to each pixel.

    Attributes:
        x: Where in the body each pixel is, shape `[size, size]`.
        y: Likewise.
        air: How much air the lungs hold, `[size, size, 1]`, 0 to about 1.
        tissue: Share of the rays that tissue and bones let pass.
    """

    def __init__(self, size: int, pose: Pose) -> None:
        """Makes an empty film of `size` pixels."""
        self._pose = pose
        self.tissue = canvas.Canvas(size, 1.0, channels=1)
        self.tissue.image += 1
        self.air = canvas.Canvas(size, 1.0, channels=1)
        self.x, self.y = pose.to_body(*self.tissue.grid)

    def attenuation(self, air: float) -> np.ndarray:
        """Returns what is held back, the lungs `air` less than tissue."""
        return -np.log(self.tissue.image) - air * self.air.image

    def inside(
        self, distance: np.ndarray, softness: float = _LUNG_EDGE
    ) -> np.ndarray:
        """Covers where a distance from a border is positive, `[..., 1]`."""
        softness = max(softness, self.tissue.pixel)
        return np.clip(distance / softness + 0.5, 0, 1)[..., None]

    def add(self, density: np.ndarray | float) -> None:
        """Adds tissue: a density for all pixels, or `[size, size, 1]`."""
        self.tissue.image *= np.exp(-density)

    def add_blob(
        self,
        centre: _Point,
        radii: tuple[float, float],
        density: float,
        **shape: Any,
    ) -> None:
        """Adds an ellipse of tissue; `shape` as in `canvas.Canvas.blob`."""
        self._blob(self.tissue, centre, radii, math.exp(-density), shape)

    def fill_blob(
        self,
        centre: _Point,
        radii: tuple[float, float],
        share: float = 1.0,
        **shape: Any,
    ) -> None:
        """Takes a share of the air out of an ellipse."""
        self._blob(self.air, centre, radii, 1 - share, shape)

    def _blob(
        self,
        layer: canvas.Canvas,
        centre: _Point,
        radii: tuple[float, float],
        tint: float,
        shape: dict[str, Any],
    ) -> None:
        x, y = self._pose.to_film(*np.array(centre))
        zoom = self._pose.zoom
        shape["angle"] = shape.get("angle", 0.0) + self._pose.angle
        layer.blob(
            (x, y), (radii[0] * zoom, radii[1] * zoom), tint=tint, **shape
        )

    def add_lines(self, lines: np.ndarray, density: float) -> None:
        """Adds lines of tissue or metal: x, y, x, y, width each."""
        self.add(density * self.cover(lines))

    def fill_lines(self, lines: np.ndarray, share: float) -> None:
        """Takes a share of the air out of lines."""
        self.air.image *= 1 - share * self.cover(lines)

    def cover(self, lines: np.ndarray) -> np.ndarray:
        """Finds how much of each pixel lines cover, `[size, size, 1]`."""
        ends = self._pose.to_film(lines[:, 0:4:2], lines[:, 1:4:2])
        placed = np.stack(ends, axis=2).reshape(len(lines), 4)
        width = lines[:, 4:] * self._pose.zoom
        return self.tissue.strokes(np.hstack([placed, width]))[..., None]


def make_chest(
    patient: np.random.Generator,
    study: np.random.Generator,
    *,
    is_female: bool,
    is_ap: bool,
) -> Chest:
    """Makes a patient's chest on one day.

    Args:
        patient: What stays from day to day is drawn from this stream.
        study: What differs, from this one.
        is_female: Whether breasts are drawn.
        is_ap: Whether the rays come from in front: to a bed, mostly, so that
            breaths are shallow and shoulder blades lie over the lungs.
    """
    width = patient.uniform(0.62, 0.75)
    dome = patient.uniform(0.44, 0.54)
    apex = patient.uniform(-0.82, -0.72)
    heart = patient.uniform(0.36, 0.42)
    density = patient.uniform(0.8, 1.15)
    breasts = patient.uniform(0.05, 0.35) * (1.0 if is_female else 0.15)
    depth = study.normal(-0.04 if is_ap else 0.03, 0.03)
    return Chest(
        width=width,
        apex=apex,
        domes=(dome + depth, dome + depth + patient.uniform(-0.01, 0.06)),
        heart=heart * (_AP_HEART if is_ap else 1.0),
        wall=patient.uniform(0.1, 0.3),
        density=density,
        air=density * patient.uniform(0.46, 0.76) * study.uniform(0.92, 1.04),
        turn=study.normal(0, 0.02),
        slope=study.normal(0, 0.07),
        ribs=(
            patient.uniform(0.145, 0.175),
            patient.uniform(-0.05, 0.05),
            patient.uniform(0.07, 0.14),
        ),
        breasts=breasts,
        scapulae=study.uniform(0.05, 0.2) if is_ap else 0.0,
        stomach=study.uniform(-0.1, 0.13),
        vessels=_vessels(width, patient),
    )


def make_pose(rng: np.random.Generator, *, is_ap: bool) -> Pose:
    """Lays the body on the film."""
    spread = 1.6 if is_ap else 1.0
    return Pose(
        angle=rng.normal(0, 0.025) * spread,
        zoom=rng.uniform(0.93, 1.05) * (_AP_ZOOM if is_ap else 1.0),
        shift=(rng.normal(0, 0.035) * spread, rng.normal(0, 0.04) * spread),
    )


def _vessels(width: float, rng: np.random.Generator) -> np.ndarray:
    """Grows vessels from the roots of the lungs outwards."""
    lines = []
    for side in SIDES:
        for heading in np.linspace(-1.25, 1.35, 9):
            x, y = side * 0.15, rng.normal(-0.02, 0.05)
            angle, thick = heading + rng.normal(0, 0.15), 0.03
            for _ in range(5):
                angle += rng.normal(0, 0.25)
                step = rng.uniform(0.12, 0.2) * width
                end = (
                    x + side * step * math.cos(angle),
                    y + step * math.sin(angle),
                )
                lines.append((x, y, *end, thick))
                (x, y), thick = end, thick * 0.75
    return np.array(lines)


def draw(film: Film, chest: Chest) -> None:
    """Draws a healthy chest."""
    _draw_body(film, chest)
    _draw_lungs(film, chest)
    _draw_middle(film, chest)
    _draw_ribs(film, chest)
    _draw_other_bones(film, chest)
    _draw_soft_parts(film, chest)


def _draw_body(film: Film, chest: Chest) -> None:
    side = chest.width + chest.wall
    skin = np.interp(
        film.y,
        [-1.0, -0.92, -0.66, 0.0, 0.5],
        [0.27, 0.36, 1.0, side + 0.12, side + 0.06],
    )
    out = skin - np.abs(film.x)
    deep = np.clip(out / 0.4, 0, 1)
    thickness = 0.55 + 0.45 * np.sqrt(deep * (2 - deep))
    thickness += chest.slope * film.x
    thickness += 0.18 * np.exp(-((film.x / 0.2) ** 2))
    thickness += 0.22 / (1 + np.exp((min(chest.domes) - film.y) / 0.07))
    film.add(
        chest.density * thickness[..., None] * film.inside(out, softness=0.03)
    )


def _draw_lungs(film: Film, chest: Chest) -> None:
    inner, outer = chest.inner(film.y), chest.outer(film.y)
    for side in SIDES:
        out = side * film.x
        across = np.minimum(outer - out, out - inner)
        along = np.minimum(chest.dome(side, out) - film.y, film.y - chest.apex)
        film.air.image += film.inside(np.minimum(across, along))


def _draw_middle(film: Film, chest: Chest) -> None:
    """Draws the mediastinum, the heart and the roots of the lungs."""
    half = np.interp(film.y, [-0.8, -0.45, -0.1, 0.2], [0.1, 0.12, 0.15, 0.13])
    out = half - np.abs(film.x - chest.turn)
    film.air.image *= 1 - film.inside(out, softness=0.03)
    film.fill_blob((chest.turn + 0.1, -0.33), (0.09, 0.1), softness=0.03)
    centre, radii, angle = chest.heart_shape()
    film.fill_blob(centre, radii, angle=angle, softness=0.03)
    for side in SIDES:
        root = (chest.turn + side * 0.17, -0.06 + 0.02 * side)
        film.fill_blob(root, (0.08, 0.12), 0.6, softness=0.09)
    film.fill_lines(chest.vessels, 0.35)


def _draw_ribs(film: Film, chest: Chest) -> None:
    """Draws all ribs at once: bands that repeat downwards."""
    distance, first, density = chest.ribs
    out = np.abs(film.x)
    share = out / chest.width
    caged = film.inside(chest.outer(film.y) + 0.03 - out)[..., 0]
    caged = caged * (film.y > chest.apex - 0.02) * (share > 0.12)
    # Below the diaphragm they are lost in the dense abdomen.
    caged = caged / (1 + np.exp((film.y - max(chest.domes)) / 0.06))
    behind = film.y - 0.3 * share**2 + 0.12 * share
    before = film.y + 0.42 * share + 0.5 * distance
    for course, strength, reach in ((behind, 1.0, 0.0), (before, 0.6, 0.35)):
        phase = np.mod((course - first) / distance, 1)
        band = film.inside(0.19 * distance - distance * np.abs(phase - 0.5))
        shown = caged * np.clip((share - reach) / 0.1, 0, 1)
        film.add(density * strength * band * shown[..., None])


def _draw_other_bones(film: Film, chest: Chest) -> None:
    middle = chest.turn / 2
    spine = film.inside(0.075 - np.abs(film.x - middle))
    discs = 1 + 0.3 * np.cos(film.y[..., None] * math.tau / 0.13)
    film.add(0.1 * spine * discs)
    windpipe = film.inside(0.035 - np.abs(film.x - middle), softness=0.02)
    film.add(-0.12 * windpipe * (film.y[..., None] < -0.28))
    collar = []
    for side in SIDES:
        x, y = side * 0.09 + chest.turn, chest.apex + 0.2
        for step, rise in ((0.18, 0.01), (0.18, -0.07), (0.3, -0.07)):
            end = (x + side * step, y + rise)
            collar.append((x, y, *end, 0.055))
            x, y = end
        if chest.scapulae:
            film.add_blob(
                (side * (chest.width + 0.08), -0.3),
                (0.12 + chest.scapulae / 2, 0.3),
                chest.scapulae,
                angle=side * 0.25,
                softness=0.04,
            )
    film.add_lines(np.array(collar), 0.2)


def _draw_soft_parts(film: Film, chest: Chest) -> None:
    for side in SIDES:
        film.add_blob(
            (side * 0.6 * chest.width, 0.3),
            (0.5 * chest.width, 0.3),
            chest.breasts,
            softness=0.1,
        )
    if chest.stomach > 0:
        place = (0.5 * chest.width, chest.domes[1] + chest.stomach + 0.05)
        size = (1.3 * chest.stomach, chest.stomach)
        film.add_blob(place, size, -0.3, softness=0.03)

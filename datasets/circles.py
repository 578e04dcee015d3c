"""Finding the circular field of view in a fundus photograph.

Source: The field is found, centred and rescaled to a fixed diameter as in the
    work that the paper builds on (Gulshan et al., JAMA 2016). The circle is
    fitted to the left and right borders of the field because cameras often
    cut its top and bottom: an enclosing circle would then be off centre.
"""

import dataclasses

import numpy as np

_NUM_HYPOTHESES = 300
_TOLERANCE = 0.012  # How far from the circle a border may be, in diameters.
_LEAST_BORDER = 12  # Border points on the circle, of rows of the picture.
# Share of the border points on the circle, times how much more of the disc
# than of its surround is bright: 1 for a clean photograph. The worst of 1,998
# real ones has 0.48, the best of 20 pictures of other things 0.27.
_LEAST_SCORE = 0.4
_CLEAR_SCORE = 0.8  # That makes trying further levels needless.
_LEVELS = (0.08, 0.2, 0.35)  # Of white; the surround may be noisy.


@dataclasses.dataclass(frozen=True)
class Circle:
    """A circle in an image; pixel i of an axis covers [i, i + 1).

    Attributes:
        x: Centre, pixels from the left border.
        y: Centre, pixels from the top border.
        radius: Pixels.
    """

    x: float
    y: float
    radius: float

    def scaled(self, factor_x: float, factor_y: float) -> "Circle":
        """Gives the same circle in the image resized by these factors."""
        mean = (factor_x + factor_y) / 2
        return Circle(self.x * factor_x, self.y * factor_y, self.radius * mean)


def find_circle(image: np.ndarray) -> Circle | None:
    """Finds the field of view on a dark surround.

    Args:
        image: Shape `[height, width, 3]`, uint8; best about 256 pixels wide.
            The field may be cut on every side, and shadows, notches and
            noise in the surround are tolerated.

    Returns:
        The circle, or `None` if no part of a circular border shows.

    Example:
        >>> y, x = np.mgrid[:100, :120] + 0.5
        >>> disc = np.hypot(x - 60, y - 50) < 40
        >>> image = np.uint8(200 * disc)[..., None].repeat(3, axis=2)
        >>> circle = find_circle(image)
        >>> round(circle.x), round(circle.y), round(circle.radius)
        (60, 50, 40)
    """
    red, green, blue = np.moveaxis(image, 2, 0)
    # Much faster than a maximum along the last axis.
    bright = np.maximum(np.maximum(red, green), blue).astype(np.float64)
    white = np.percentile(bright, 99)
    best, best_score = None, _LEAST_SCORE
    for level in _LEVELS:
        circle, score = _find_at(_majority(bright > level * white))
        if score > best_score:
            best, best_score = circle, score
        if score > _CLEAR_SCORE:
            break
    return best


def _find_at(mask: np.ndarray) -> tuple[Circle | None, float]:
    """Finds the circle in a mask of bright pixels, and its score in [0, 1]."""
    points = _border_points(mask)
    circle = _vote(points, max(mask.shape))
    if circle is None:
        return None, 0.0
    for _ in range(3):
        near = _distance(circle, points) < _TOLERANCE * 2 * circle.radius
        if near.sum() < _LEAST_BORDER:
            return None, 0.0
        circle = _fit(points[near])
    return circle, float(near.mean() * _contrast(mask, circle))


def _contrast(mask: np.ndarray, circle: Circle) -> float:
    """Share of the disc that is bright, less that of its surround."""
    y, x = np.ogrid[: mask.shape[0], : mask.shape[1]]
    square = (x + 0.5 - circle.x) ** 2 + (y + 0.5 - circle.y) ** 2
    inside = square < circle.radius**2
    if inside.all() or not inside.any():
        return 0.0
    return float(mask[inside].mean() - mask[~inside].mean())


def _border_points(mask: np.ndarray) -> np.ndarray:
    """Finds where rows enter and leave the field, shape `[n, 2]`.

    Borders on the frame's own border are cuts, not the field's border.
    """
    width = mask.shape[1]
    rows = np.flatnonzero(mask.any(axis=1))
    left = mask[rows].argmax(axis=1)
    right = width - mask[rows, ::-1].argmax(axis=1)
    enters = np.stack([left, rows + 0.5], axis=1)[left > 0]
    leaves = np.stack([right, rows + 0.5], axis=1)[right < width]
    return np.concatenate([_uncut(enters), _uncut(leaves)]).astype(np.float64)


def _uncut(points: np.ndarray) -> np.ndarray:
    """Leaves out a straight vertical cut: most borders in one column."""
    if not len(points):
        return points
    column = np.median(points[:, 0])
    cut = np.abs(points[:, 0] - column) < 1.5
    return points[~cut] if cut.mean() > 0.5 else points


def _majority(mask: np.ndarray) -> np.ndarray:
    """Keeps a pixel if most of the 5 x 5 around it are set: no specks."""
    total = np.pad(mask, ((3, 2), (3, 2)), mode="edge").astype(np.int64)
    total = total.cumsum(axis=0).cumsum(axis=1)
    inside = total[5:, 5:] - total[:-5, 5:] - total[5:, :-5] + total[:-5, :-5]
    return inside > 12


def _vote(points: np.ndarray, extent: int) -> Circle | None:
    """Takes, of circles through three points, the one most points are on."""
    rng = np.random.default_rng(0)  # The same photograph, the same circle.
    if len(points) < _LEAST_BORDER:
        return None
    points = points[:: 1 + len(points) // 200]
    a, b, c = points[rng.integers(0, len(points), (3, _NUM_HYPOTHESES))]
    circles = _through(a, b, c)
    radius = circles[:, 2]
    with np.errstate(invalid="ignore"):
        centred = (circles[:, :2] > 0) & (circles[:, :2] < extent)
        sized = (radius > 0.15 * extent) & (radius < 0.8 * extent)
    circles = circles[centred.all(axis=1) & sized]
    if not len(circles):
        return None
    away = np.hypot(
        points[:, 0] - circles[:, :1], points[:, 1] - circles[:, 1:2]
    )
    diameter = 2 * circles[:, 2:]
    on = np.abs(away - diameter / 2) < _TOLERANCE * diameter
    return Circle(*circles[on.sum(axis=1).argmax()].tolist())


def _through(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Circles (x, y, radius) through triples of points, nan if in line."""
    (bx, by), (cx, cy) = (b - a).T, (c - a).T
    with np.errstate(divide="ignore", invalid="ignore"):
        half = 0.5 / (bx * cy - by * cx)
        b_square, c_square = bx**2 + by**2, cx**2 + cy**2
        x = (cy * b_square - by * c_square) * half
        y = (bx * c_square - cx * b_square) * half
    return np.stack([a[:, 0] + x, a[:, 1] + y, np.hypot(x, y)], axis=1)


def _distance(circle: Circle, points: np.ndarray) -> np.ndarray:
    away = np.hypot(points[:, 0] - circle.x, points[:, 1] - circle.y)
    return np.abs(away - circle.radius)


def _fit(points: np.ndarray) -> Circle:
    """Fits a circle by least squares of x^2 + y^2 = 2ax + 2by + c."""
    origin = points.mean(axis=0)
    x, y = (points - origin).T
    design = np.stack([2 * x, 2 * y, np.ones_like(x)], axis=1)
    (a, b, c), *_ = np.linalg.lstsq(design, x**2 + y**2, rcond=None)
    return Circle(
        float(a + origin[0]),
        float(b + origin[1]),
        float(np.sqrt(c + a**2 + b**2)),
    )

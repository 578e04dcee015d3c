"""A small drawing surface: soft shapes, each drawn on its bounding patch."""

import math

import numpy as np

_Point = tuple[float, float]


class Canvas:
    """An image with coordinates that do not depend on its size.

    Attributes:
        image: Reflectances, shape `[size, size, channels]`, float64, about
            [0, 1].
        grid: The coordinates x (rightwards) and y (downwards) of the pixel
            centres, each of shape `[size, size]`.
        pixel: Width of a pixel in these coordinates.
    """

    def __init__(self, size: int, extent: float, *, channels: int = 3) -> None:
        """Makes a black canvas of `size` pixels, from -extent to extent."""
        self.pixel = 2 * extent / size
        axis = (np.arange(size) + 0.5) * self.pixel - extent
        self._extent = extent
        self.grid = np.meshgrid(axis, axis)
        self.image = np.zeros((size, size, channels))

    def _span(self, low: float, high: float) -> slice:
        """Finds the pixels whose centres lie in an interval."""
        first, last = (
            math.ceil((end + self._extent) / self.pixel - 0.5)
            for end in (low, high)
        )
        return slice(max(first, 0), max(last, 0))

    def blob(
        self,
        centre: _Point,
        radii: tuple[float, float],
        *,
        angle: float = 0.0,
        colour: np.ndarray | None = None,
        tint: np.ndarray | float = 1.0,
        softness: float = 0.0,
        opacity: float = 1.0,
        ripple: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        """Draws an ellipse with a soft and, if asked for, uneven border.

        Args:
            centre: Where.
            radii: Half axes, before turning by `angle` (radians).
            angle: How far it is turned.
            colour: Colour that covers what was there, shape `[channels]`.
            tint: Factor on what was there, a number or of shape
                `[channels]`; instead of `colour`.
            softness: Width of the border, at least one pixel.
            opacity: How much of it shows, in [0, 1].
            ripple: Height and phase of the border's unevenness.
        """
        softness = max(softness, self.pixel)
        reach = max(radii) * (1 + ripple[0]) + softness
        box = (
            self._span(centre[1] - reach, centre[1] + reach),
            self._span(centre[0] - reach, centre[0] + reach),
        )
        x, y = self.grid[0][box] - centre[0], self.grid[1][box] - centre[1]
        u = (x * math.cos(angle) + y * math.sin(angle)) / radii[0]
        v = (y * math.cos(angle) - x * math.sin(angle)) / radii[1]
        border = 1 + ripple[0] * np.cos(3 * np.arctan2(v, u) + ripple[1])
        inside = (border - np.hypot(u, v)) * math.sqrt(radii[0] * radii[1])
        alpha = opacity * np.clip(inside / softness + 0.5, 0, 1)[..., None]
        under = self.image[box]
        target = under * tint if colour is None else colour
        self.image[box] = under + alpha * (target - under)

    def shade(self, centre: _Point, width: float, tint: np.ndarray) -> None:
        """Multiplies by `tint` at `centre`, fading with a Gaussian."""
        x, y = self.grid
        square = (x - centre[0]) ** 2 + (y - centre[1]) ** 2
        fade = np.exp(-square / (2 * width**2))[..., None]
        self.image *= 1 - fade * (1 - tint)

    def strokes(self, lines: np.ndarray) -> np.ndarray:
        """Draws many short lines at once.

        Args:
            lines: Shape `[num_lines, 5]`: x and y of one end, x and y of the
                other, thickness. Thinner than a pixel is drawn paler.

        Returns:
            How much of each pixel they cover, shape `[size, size]`, [0, 1].
        """
        step, place, width = self._sample(lines)
        # Every sample colours the window of pixels around it.
        reach = math.ceil(width.max() / 2 + 1)
        window = np.arange(-reach, reach + 1)
        columns = np.rint(place[:, 0])[:, None, None] + window
        rows = np.rint(place[:, 1])[:, None, None] + window[:, None]
        dx = columns - place[:, 0, None, None]
        dy = rows - place[:, 1, None, None]
        ux, uy = step[:, 0, None, None], step[:, 1, None, None]
        along = np.clip(dx * ux + dy * uy, -0.5, 0.5)
        distance = np.hypot(dx - along * ux, dy - along * uy)
        alpha = np.clip(width[:, None, None] / 2 - distance + 0.5, 0, 1)
        alpha = alpha * np.minimum(width, 1)[:, None, None]
        size = len(self.image)
        inside = (columns >= 0) & (columns < size) & (rows >= 0) & (rows < size)
        index = (rows * size + columns)[inside].astype(np.int64)
        cover = np.zeros(size * size)
        np.maximum.at(cover, index, alpha[inside])
        return cover.reshape(size, size)

    def _sample(
        self, lines: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Places samples a pixel apart; direction, place, width in pixels."""
        ends = (lines[:, :4] + self._extent) / self.pixel - 0.5
        vector = ends[:, 2:] - ends[:, :2]
        length = np.hypot(*vector.T)
        count = math.ceil(length.max()) + 1
        share = np.linspace(0, 1, count)[None, :, None]
        place = ends[:, None, :2] + share * vector[:, None]
        step = np.repeat(vector / length[:, None], count, axis=0)
        width = np.repeat(lines[:, 4] / self.pixel, count)
        return step, place.reshape(-1, 2), width

    def noise(self, cells: int, rng: np.random.Generator) -> np.ndarray:
        """Draws smooth noise with about `cells` bumps along a side."""
        values = rng.normal(size=(cells + 1, cells + 1))
        place = np.linspace(0, cells, len(self.image), endpoint=False)
        low = place.astype(int)
        share = place - low
        rows = (
            values[low] * (1 - share[:, None])
            + values[low + 1] * share[:, None]
        )
        return rows[:, low] * (1 - share) + rows[:, low + 1] * share


def blur(image: np.ndarray, width: float) -> np.ndarray:
    """Blurs by a Gaussian of standard deviation `width`, in pixels."""
    reach = max(1, math.ceil(3 * width))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
    kernel /= kernel.sum()
    for axis in (0, 1):
        padding = [(0, 0)] * image.ndim
        padding[axis] = (reach, reach)
        padded = np.pad(image, padding, mode="edge")
        count = image.shape[axis]
        image = sum(
            weight * padded.take(range(i, i + count), axis=axis)
            for i, weight in enumerate(kernel)
        )
    return image


def shrink(image: np.ndarray, factor: int) -> np.ndarray:
    """Averages squares of `factor` by `factor` pixels."""
    height, width, channels = image.shape
    squares = image.reshape(
        height // factor, factor, width // factor, factor, channels
    )
    return squares.mean(axis=(1, 3))

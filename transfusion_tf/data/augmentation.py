"""Stateless augmentation, in batches, on the device.

The host draws `NUM_DRAWS` uniform numbers an example, keyed by seed, epoch
and example id; everything that happens to the pixels follows from them. So an
example is augmented alike whatever the batch or the replica it falls into.
"""

import dataclasses
import math

import tensorflow as tf

# Which draw does what.
(
    _LEFT_RIGHT,
    _UP_DOWN,
    _BRIGHTNESS,
    _HUE,
    _SATURATION,
    _CONTRAST,
    _DOWN,
    _RIGHT,
    _ANGLE,
    _SCALE,
) = range(10)
NUM_DRAWS = 10

# Google's published fundus pipeline (see the README, Deviations).
_BRIGHTNESS_RANGE = (-0.1147528, 0.1147528)
_HUE_RANGE = (-0.0251488, 0.0251488)
_SATURATION_RANGE = (0.5597273, 1.2748845)
_CONTRAST_RANGE = (0.9996807, 1.7704824)
# Mild crops: the window moves by up to this share of the image's side.
_CROP = 1 / 16
# Chest X-rays, as an author of the paper does in a later work on CheXpert.
_TURN = math.radians(15)
_SHIFT = 0.05
_SCALE_RANGE = (0.95, 1.05)


@dataclasses.dataclass(frozen=True)
class _Recipe:
    """What an augmentation consists of."""

    left_right: bool = False
    up_down: bool = False
    crop: bool = False
    colours: bool = False
    affine: bool = False


_FLIPS = _Recipe(left_right=True, up_down=True)
_RECIPES = {
    "none": _Recipe(),
    "flip_horizontal": _Recipe(left_right=True),
    "flips": _FLIPS,
    "flips_and_crop": dataclasses.replace(_FLIPS, crop=True),
    "fundus": dataclasses.replace(_FLIPS, colours=True),
    "chest_xray": _Recipe(affine=True),
}
AUGMENTATION_NAMES = tuple(_RECIPES)


def augment(
    images: tf.Tensor, draws: tf.Tensor, augmentation: str
) -> tf.Tensor:
    """Augments a batch.

    Args:
        images: uint8 `[batch, height, width, 3]`, of a static shape.
        draws: float32 in [0, 1), `[batch, NUM_DRAWS]`.
        augmentation: "none"; "flip_horizontal"; "flips" (horizontal and
            vertical); "flips_and_crop" (flips, and a window of the same size
            moved by up to a 16th of the side, black where it leaves the
            image); "fundus" (flips, then brightness, hue, saturation and
            contrast in the ranges of Google's fundus pipeline); or
            "chest_xray" (turned by up to 15 degrees, moved by up to 5 % of
            the side, scaled by 0.95 to 1.05, black around; not flipped: the
            heart is on the left).

    Returns:
        float32 pixels from 0 to 255, same shape.

    Raises:
        ValueError: If there is no such augmentation.

    Example:
    >>> image = tf.constant([[[[0, 1, 2], [3, 4, 5]]]], tf.uint8)
    >>> flipped = augment(image, tf.zeros([1, NUM_DRAWS]), "flips")
    >>> flipped[0, 0, 0].numpy()
    array([3., 4., 5.], dtype=float32)
    """
    if augmentation not in _RECIPES:
        raise ValueError(
            "There is no such augmentation. Received: augmentation="
            f"{augmentation!r}. Use one of {', '.join(AUGMENTATION_NAMES)}."
        )
    return _augment(images, draws, _RECIPES[augmentation])


# Compiled: op by op, flips alone would take five times as long on a CPU.
@tf.function(autograph=False, jit_compile=True)
def _augment(images: tf.Tensor, draws: tf.Tensor, recipe: _Recipe) -> tf.Tensor:
    images = _moved(images, draws, recipe)
    pixels = tf.cast(images, tf.float32)
    if recipe.colours:
        pixels = _colour(pixels / 255.0, draws) * 255.0
    if recipe.affine:
        pixels = _transform(pixels, draws)
    return pixels


def _moved(images: tf.Tensor, draws: tf.Tensor, recipe: _Recipe) -> tf.Tensor:
    """Flips and crops: each pixel is one of the image's, or black."""
    # Flips choose between two images rather than between indices: XLA gets
    # colours wrong that it computes together with such a choice of indices.
    if recipe.left_right:
        images = _flip(images, draws[:, _LEFT_RIGHT], axis=2)
    if recipe.up_down:
        images = _flip(images, draws[:, _UP_DOWN], axis=1)
    if recipe.crop:
        images = _move(images, draws[:, _DOWN], axis=1)
        images = _move(images, draws[:, _RIGHT], axis=2)
    return images


def _flip(images: tf.Tensor, draw: tf.Tensor, *, axis: int) -> tf.Tensor:
    flipped = tf.reverse(images, axis=[axis])
    return tf.where(draw[:, None, None, None] < 0.5, flipped, images)


def _move(images: tf.Tensor, draw: tf.Tensor, *, axis: int) -> tf.Tensor:
    """Moves the window by whole pixels; outside of the image it is black."""
    size = images.shape[axis]
    reach = int(_CROP * size)
    steps = tf.cast(tf.floor(draw * (2 * reach + 1)), tf.int32) - reach
    place = tf.range(size) + steps[:, None]
    taken = tf.gather(
        images, tf.clip_by_value(place, 0, size - 1), axis=axis, batch_dims=1
    )
    is_inside = tf.cast((place >= 0) & (place < size), images.dtype)
    ends = [1, 1, 1]
    ends[axis - 1] = size
    return taken * tf.reshape(is_inside, [-1, *ends])


def _colour(pixels: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
    """Brightness, hue, saturation, contrast on pixels in [0, 1]."""

    def between(draw: int, limits: tuple[float, float]) -> tf.Tensor:
        return _between(draws[:, draw], *limits)[:, None, None]

    pixels += between(_BRIGHTNESS, _BRIGHTNESS_RANGE)[..., None]
    # Hue and saturation are defined on [0, 1].
    hue, saturation, value = tf.unstack(
        tf.image.rgb_to_hsv(tf.clip_by_value(pixels, 0.0, 1.0)), axis=-1
    )
    hue = tf.math.floormod(hue + between(_HUE, _HUE_RANGE), 1)
    saturation *= between(_SATURATION, _SATURATION_RANGE)
    saturation = tf.clip_by_value(saturation, 0.0, 1.0)
    pixels = tf.image.hsv_to_rgb(tf.stack([hue, saturation, value], axis=-1))
    mean = tf.reduce_mean(pixels, axis=[1, 2], keepdims=True)
    contrast = between(_CONTRAST, _CONTRAST_RANGE)[..., None]
    return tf.clip_by_value((pixels - mean) * contrast + mean, 0.0, 1.0)


def _transform(pixels: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
    """Turns, scales and moves about the centre, interpolating bilinearly."""
    height, width = pixels.shape[1], pixels.shape[2]
    angle = _between(draws[:, _ANGLE], -_TURN, _TURN)[:, None, None]
    scale = _between(draws[:, _SCALE], *_SCALE_RANGE)[:, None, None]
    down = _between(draws[:, _DOWN], -_SHIFT, _SHIFT)[:, None, None] * height
    right = _between(draws[:, _RIGHT], -_SHIFT, _SHIFT)[:, None, None] * width
    # For each pixel of the result, where it comes from.
    centre_y, centre_x = (height - 1) / 2, (width - 1) / 2
    y = tf.range(height, dtype=tf.float32)[None, :, None] - centre_y - down
    x = tf.range(width, dtype=tf.float32)[None, None, :] - centre_x - right
    cos, sin = tf.cos(angle) / scale, tf.sin(angle) / scale
    return _interpolate(
        pixels, cos * y - sin * x + centre_y, sin * y + cos * x + centre_x
    )


def _interpolate(pixels: tf.Tensor, y: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """Reads images between pixels; around them all is black.

    Args:
        pixels: float32 `[batch, height, width, 3]`.
        y: Rows, float32 `[batch, height, width]`.
        x: Columns, float32, same shape.
    """
    height, width = pixels.shape[1], pixels.shape[2]
    top, left = tf.floor(y), tf.floor(x)
    result = tf.zeros_like(pixels)
    for row, row_weight in ((top, top + 1 - y), (top + 1, y - top)):
        for column, weight in ((left, left + 1 - x), (left + 1, x - left)):
            is_inside = (row >= 0) & (row < height)
            is_inside &= (column >= 0) & (column < width)
            weight = row_weight * weight * tf.cast(is_inside, tf.float32)
            place = tf.clip_by_value(row, 0, height - 1) * width
            place += tf.clip_by_value(column, 0, width - 1)
            flat = tf.reshape(pixels, [-1, height * width, 3])
            index = tf.reshape(tf.cast(place, tf.int32), [-1, height * width])
            taken = tf.gather(flat, index, axis=1, batch_dims=1)
            result += weight[..., None] * tf.reshape(taken, tf.shape(pixels))
    return result


def _between(draw: tf.Tensor, low: float, high: float) -> tf.Tensor:
    return low + (high - low) * draw

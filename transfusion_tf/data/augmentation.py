"""Stateless augmentation, in batches, on the device.

The host draws `NUM_DRAWS` uniform numbers an example, keyed by seed, epoch
and example id; everything that happens to the pixels follows from them. So an
example is augmented alike whatever the batch or the replica it falls into.
"""

import tensorflow as tf

AUGMENTATION_NAMES = ("none", "flip_horizontal", "flips", "fundus")
NUM_DRAWS = 6

# Ranges of Google's published fundus pipeline (see the README, Deviations).
_BRIGHTNESS = 0.1147528
_HUE = 0.0251488
_SATURATION = (0.5597273, 1.2748845)
_CONTRAST = (0.9996807, 1.7704824)


def augment(
    images: tf.Tensor, draws: tf.Tensor, augmentation: str
) -> tf.Tensor:
    """Augments a batch.

    Args:
        images: uint8 `[batch, height, width, 3]`.
        draws: float32 in [0, 1), `[batch, NUM_DRAWS]`.
        augmentation: "none"; "flip_horizontal"; "flips" (horizontal and
            vertical); or "fundus" (flips, then brightness, hue, saturation
            and contrast in the ranges of Google's fundus pipeline).

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
    pixels = tf.cast(images, tf.float32)
    if augmentation == "none":
        return pixels
    if augmentation == "flip_horizontal":
        return _flip(pixels, draws[:, 0], axis=2)
    if augmentation == "flips":
        return _flips(pixels, draws)
    if augmentation == "fundus":
        return _colours(_flips(pixels, draws) / 255.0, draws) * 255.0
    raise ValueError(
        "There is no such augmentation. Received: augmentation="
        f"{augmentation!r}. Use one of {', '.join(AUGMENTATION_NAMES)}."
    )


def _flips(pixels: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
    return _flip(_flip(pixels, draws[:, 0], axis=2), draws[:, 1], axis=1)


def _flip(pixels: tf.Tensor, draw: tf.Tensor, *, axis: int) -> tf.Tensor:
    flipped = tf.reverse(pixels, axis=[axis])
    return tf.where(draw[:, None, None, None] < 0.5, flipped, pixels)


def _colours(pixels: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
    """Brightness, hue, saturation, contrast on pixels in [0, 1]."""
    pixels += _between(draws[:, 2], -_BRIGHTNESS, _BRIGHTNESS)
    # Hue and saturation are defined on [0, 1].
    hue, saturation, value = tf.unstack(
        tf.image.rgb_to_hsv(tf.clip_by_value(pixels, 0.0, 1.0)), axis=-1
    )
    hue = tf.math.floormod(hue + _between(draws[:, 3], -_HUE, _HUE)[..., 0], 1)
    saturation *= _between(draws[:, 4], *_SATURATION)[..., 0]
    saturation = tf.clip_by_value(saturation, 0.0, 1.0)
    pixels = tf.image.hsv_to_rgb(tf.stack([hue, saturation, value], axis=-1))
    mean = tf.reduce_mean(pixels, axis=[1, 2], keepdims=True)
    pixels = (pixels - mean) * _between(draws[:, 5], *_CONTRAST) + mean
    return tf.clip_by_value(pixels, 0.0, 1.0)


def _between(draw: tf.Tensor, low: float, high: float) -> tf.Tensor:
    return (low + (high - low) * draw)[:, None, None, None]

"""The paper's bank of synthetic Gabor filters.

Source: Figure 19 and section 5. The picture of the authors fits this bank with
    correlations above 0.998: frequencies 0.08, 0.16, 0.25 and 0.32 cycles a
    pixel, 16 angles, standard deviation 2, resized to 10 x 10 and cropped to
    the middle 7 x 7.
"""

import math

import numpy as np
from skimage import filters, transform

FREQUENCIES = (0.08, 0.16, 0.25, 0.32)
SIGMA = 2.0
_PAPER_SIZE, _PAPER_RESIZED = 7, 10
_LEAST_SIZE = 5
_COLOURS = 3


def first_kernel(shape: tuple[int, ...], key: str) -> np.ndarray:
    """Makes the kernel of a first convolution.

    The paper's has 64 filters of 7 x 7. Of another number the angles are as
    many as are needed for each frequency; of another size the resized filters
    keep the proportion 10 to 7.

    Args:
        shape: `(size, size, 3, filters)`.
        key: The variable's key, for errors.

    Returns:
        float64 of this shape, the same in each colour.

    Raises:
        ValueError: The filters are smaller than 5 x 5 or not square, or do not
            take three channels.
    """
    height, width, channels, num_filters = shape
    if height != width or height < _LEAST_SIZE or channels != _COLOURS:
        raise ValueError(
            "Gabor filters need a first convolution of square filters of at "
            f"least {_LEAST_SIZE} x {_LEAST_SIZE} on {_COLOURS} channels. "
            f"Received: {key!r} of shape {shape}. Use another --init, or a "
            "model such as resnet50 or one of the CBR family."
        )
    num_angles = math.ceil(num_filters / len(FREQUENCIES))
    filters_ = bank(num_angles, height)[:num_filters]
    grey = np.moveaxis(filters_, 0, -1)[:, :, None]
    return np.repeat(grey, _COLOURS, axis=2)


def bank(num_angles: int, size: int) -> np.ndarray:
    """Makes filters of every frequency at evenly spaced angles.

    Args:
        num_angles: How many, over half a turn.
        size: Side of the filters, pixels.

    Returns:
        float64 `[4 * num_angles, size, size]`, frequency-major.

    Example:
        >>> bank(16, 7).shape
        (64, 7, 7)
    """
    return np.stack(
        [
            _filter(frequency, angle * math.pi / num_angles, size)
            for frequency in FREQUENCIES
            for angle in range(num_angles)
        ]
    )


def _filter(frequency: float, theta: float, size: int) -> np.ndarray:
    kernel = filters.gabor_kernel(
        frequency, theta=theta, sigma_x=SIGMA, sigma_y=SIGMA
    ).real
    resized = round(size * _PAPER_RESIZED / _PAPER_SIZE)
    image = transform.resize(
        kernel, (resized, resized), order=1, anti_aliasing=False, mode="edge"
    )
    start = (resized - size) // 2
    return image[start : start + size, start : start + size]

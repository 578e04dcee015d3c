"""Strict decoding, cropping to a circle, and encoding of images."""

import contextlib
import io
import math
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageOps

from transfusion_datasets import circles, errors

JPEG_QUALITY = 95

_FORMATS = ("JPEG", "PNG")
_MODES = ("RGB", "L")
_PNG_DEPTH_BYTE = 24  # Offset of the bit depth in a PNG file's header.
_PNG_16_BIT = 16
_REPLACE = (
    "Replace the file by an intact copy, or remove it together with its row "
    "in the label file."
)


def decode(
    data: bytes, *, name: str, least_size: int | None = None
) -> Image.Image:
    """Decodes a JPEG or PNG file in full, or refuses it.

    Args:
        data: The bytes of the file.
        name: The file's name, for errors.
        least_size: If given, a JPEG is decoded at 1/2, 1/4 or 1/8 of its
            size as long as neither side falls below this, pixels. That is
            several times as fast.

    Returns:
        The image, mode RGB, 8 bits a channel.

    Raises:
        errors.BadImageError: If the file is empty, truncated or corrupt, is
            neither JPEG nor PNG, or is not 8-bit RGB or grey (16-bit, CMYK,
            palette and transparent images would change silently).
    """
    with _naming(name):
        image = _open(data, name)
        if least_size is not None:
            image.draft("RGB", (least_size, least_size))
        return image.convert("RGB")


def size(data: bytes, *, name: str) -> tuple[int, int]:
    """Reads the width and height of an image without decoding it.

    Args:
        data: The bytes of the file.
        name: The file's name, for errors.

    Returns:
        Width and height, pixels.

    Raises:
        errors.BadImageError: As `decode`.
    """
    with _naming(name):
        return _open(data, name).size


@contextlib.contextmanager
def _naming(name: str) -> Iterator[None]:
    """Turns Pillow's many kinds of errors into one that names the file."""
    try:
        yield
    except errors.BadImageError:
        raise
    except (
        OSError,
        SyntaxError,
        ValueError,
        Image.DecompressionBombError,
    ) as error:
        raise _bad(name, f"it cannot be decoded: {_brief(error)}") from error


def _open(data: bytes, name: str) -> Image.Image:
    if not data:
        raise _bad(name, "the file is empty")
    image = Image.open(io.BytesIO(data), formats=_FORMATS)
    _check_kind(image, data, name)
    return image


def _check_kind(image: Image.Image, data: bytes, name: str) -> None:
    depth = data[_PNG_DEPTH_BYTE] if image.format == "PNG" else 8
    if depth == _PNG_16_BIT:
        raise _bad(name, "it has 16 bits a channel")
    if image.mode not in _MODES:
        raise _bad(name, f"its mode is {image.mode}")
    if getattr(image, "n_frames", 1) != 1:
        raise _bad(name, "it is animated")


def _brief(error: Exception) -> str:
    # Pillow's own text for unknown data shows a memory address.
    if isinstance(error, Image.UnidentifiedImageError):
        return "neither a JPEG nor a PNG file"
    return str(error)


def _bad(name: str, reason: str) -> errors.BadImageError:
    return errors.BadImageError(
        f"An image cannot be used: {reason}. Received: {name!r}. Expected an "
        f"intact JPEG or PNG file, RGB or grey, 8 bits a channel. {_REPLACE}"
    )


def locate_circle(image: Image.Image, *, name: str) -> circles.Circle:
    """Finds the field of view of a photograph.

    Args:
        image: The photograph, RGB.
        name: The file's name, for errors.

    Returns:
        The circle, in pixels of `image`.

    Raises:
        errors.CircleNotFoundError: If no part of a circular border shows.
    """
    small = image.copy()
    small.thumbnail((256, 256), Image.Resampling.BOX)
    circle = circles.find_circle(np.asarray(small))
    if circle is None:
        raise errors.CircleNotFoundError(
            "No circular field of view on a dark surround was found. "
            f"Received: {name!r}, {image.width} x {image.height} pixels. "
            "Expected a fundus photograph that shows a part of the field's "
            "border. Remove the file together with its row in the label "
            "file if it is none."
        )
    return circle.scaled(image.width / small.width, image.height / small.height)


def crop_circle(
    image: Image.Image, circle: circles.Circle, diameter: int
) -> Image.Image:
    """Centres a circle and rescales it; what lies outside the image is black.

    Args:
        image: The photograph, RGB.
        circle: Its field of view, in pixels of `image`.
        diameter: Side of the result and diameter of the field in it, pixels.

    Returns:
        The square image.

    Example:
        >>> photograph = Image.new("RGB", (120, 80), "white")
        >>> field = circles.Circle(60, 40, 50)
        >>> crop = crop_circle(photograph, field, 20)
        >>> crop.size, crop.getpixel((10, 10)), crop.getpixel((10, 0))
        ((20, 20), (255, 255, 255), (0, 0, 0))
    """
    left, top = circle.x - circle.radius, circle.y - circle.radius
    right, bottom = circle.x + circle.radius, circle.y + circle.radius
    border = (
        max(0, math.ceil(-left)),
        max(0, math.ceil(-top)),
        max(0, math.ceil(right - image.width)),
        max(0, math.ceil(bottom - image.height)),
    )
    padded = ImageOps.expand(image, border)
    x, y = border[:2]
    return padded.resize(
        (diameter, diameter),
        Image.Resampling.BICUBIC,
        box=(left + x, top + y, right + x, bottom + y),
    )


def encode_jpeg(image: np.ndarray | Image.Image) -> bytes:
    r"""Encodes an RGB image as JPEG of quality 95 at full colour resolution.

    Args:
        image: Shape `[height, width, 3]`, uint8, or a Pillow image.

    Returns:
        The bytes of the file; equal images give equal bytes.

    Example:
        >>> encode_jpeg(np.zeros([8, 8, 3], np.uint8))[:2]
        b'\xff\xd8'
    """
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    file = io.BytesIO()
    # Subsampled colour would smear lesions of one or two pixels.
    image.save(file, format="JPEG", quality=JPEG_QUALITY, subsampling=0)
    return file.getvalue()

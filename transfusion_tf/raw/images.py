"""Strict decoding and encoding of image files."""

import contextlib
import dataclasses
import io
from collections.abc import Iterator

import numpy as np
from PIL import ExifTags, Image, ImageOps

from transfusion_tf.raw import errors

JPEG_QUALITY = 95

_FORMATS = ("JPEG", "PNG")
_MODES = ("RGB", "L")
_PNG_DEPTH_BYTE = 24  # Offset of the bit depth in a PNG file's header.
_PNG_16_BIT = 16
_UPRIGHT = 1  # EXIF orientation of a picture that is stored as it is seen.
_REPLACE = (
    "Replace the file by an intact copy, or remove it together with its row "
    "in the label file."
)


@dataclasses.dataclass(frozen=True)
class Picture:
    """A decoded image, upright.

    Attributes:
        image: The pixels; mode RGB or L, 8 bits a channel.
        width: Width of the whole image, pixels; `image` may be smaller.
        height: Height of the whole image, pixels.
        is_rotated: Whether the file asked, by its EXIF orientation, to be
            turned or mirrored, and was.
    """

    image: Image.Image
    width: int
    height: int
    is_rotated: bool


def decode(
    data: bytes, *, name: str, least_size: int | None = None, mode: str = "RGB"
) -> Picture:
    """Decodes a JPEG or PNG file in full, or refuses it.

    Args:
        data: The bytes of the file.
        name: The file's name, for errors.
        least_size: If given, a JPEG is decoded at 1/2, 1/4 or 1/8 of its
            size as long as neither side falls below this, pixels. That is
            several times as fast.
        mode: "RGB", or "L" for grey.

    Returns:
        The image, turned as its EXIF orientation asks.

    Raises:
        errors.BadImageError: If the file is empty, truncated or corrupt, is
            neither JPEG nor PNG, or is not 8-bit RGB or grey (16-bit, CMYK,
            palette and transparent images would change silently).

    Example:
    >>> picture = decode(encode_jpeg(np.zeros([8, 6, 3], np.uint8)), name="a")
    >>> picture.image.mode, picture.width, picture.height, picture.is_rotated
    ('RGB', 6, 8, False)
    """
    with _naming(name):
        image = _open(data, name)
        width, height = image.size
        orientation = image.getexif().get(ExifTags.Base.Orientation, _UPRIGHT)
        is_rotated = orientation in range(_UPRIGHT + 1, 9)
        if least_size is not None:
            image.draft(mode, (least_size, least_size))
        image.load()
        if is_rotated:
            ImageOps.exif_transpose(image, in_place=True)
            if orientation >= 5:  # These swap the sides.
                width, height = height, width
        if image.mode != mode:
            image = image.convert(mode)
        return Picture(image, width, height, is_rotated)


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
    if not data.strip(b"\0"):
        raise _bad(name, "the file holds zero bytes only")
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


def encode_jpeg(image: np.ndarray | Image.Image) -> bytes:
    r"""Encodes an image as JPEG of quality 95 at full colour resolution.

    Args:
        image: uint8, shape `[height, width, 3]`, or `[height, width]` for
            grey; or a Pillow image.

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


def to_square(image: Image.Image, size: int) -> Image.Image:
    """Brings the longer side to a size and fills the shorter with black.

    Args:
        image: Any mode.
        size: Side of the result, pixels.

    Example:
    >>> wide = Image.new("L", (40, 20), 255)
    >>> square = to_square(wide, 20)
    >>> square.size, square.getpixel((10, 2)), square.getpixel((10, 10))
    ((20, 20), 0, 255)
    """
    return ImageOps.pad(image, (size, size), Image.Resampling.BICUBIC)

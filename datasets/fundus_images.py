"""Finding and cropping the field of view of a fundus photograph.

Workers import this module: nothing here imports TensorFlow.
"""

import math
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageOps
from scipy import ndimage

from transfusion_datasets import circles, processing
from transfusion_tf.raw import errors, images, items

# A field smaller by less than this is not counted as enlarged: the circle is
# not known more exactly.
_ENLARGED = 0.99
# Of Graham's enhancement: standard deviation of the local mean in shares of
# the diameter, and the share of the radius that is kept.
_BLUR_SHARE, _KEPT_SHARE, _GREY = 30, 0.9, 128
# A JPEG is decoded at the smallest scale at which a field that fills nearly the
# whole height still has the pixels that are kept.
_MARGIN = 1.15
# The circle is looked for in this many pixels of the longer side, or up to
# twice as many: averaging whole pixels is fastest.
_FINDING_SIZE = 256


def crop_field(item: items.Item, *, diameter: int) -> processing.Processed:
    """Reads a photograph and crops it to its field of view.

    Args:
        item: Which one; `path` names the file.
        diameter: Diameter of the field in the result, pixels.

    Returns:
        The example of `features.photograph()`; noted as "enlarged" where the
        field is smaller than `diameter`, and as "rotated" where the file
        asked to be turned.

    Raises:
        errors.BadImageError: If the file cannot be decoded.
        errors.CircleNotFoundError: If no field of view is found.
    """
    return _cropped(item, diameter, lambda crop: crop)


def subtract_local_mean(
    item: items.Item, *, diameter: int
) -> processing.Processed:
    """Crops as `crop_field`, then subtracts the local mean of every colour.

    The mean is Gaussian with a standard deviation of 1/30 of the diameter;
    four times the difference is put on grey, and the outer tenth of the field
    is grey too.

    Args:
        item: Which one; `path` names the file.
        diameter: Diameter of the field in the result, pixels.

    Returns:
        As `crop_field`.

    Raises:
        errors.BadImageError: If the file cannot be decoded.
        errors.CircleNotFoundError: If no field of view is found.

    Source: B. Graham, "Kaggle Diabetic Retinopathy Detection competition
        report" (2015), as in the configuration btgraham-300 of tfds, which
        finds the field by its middle row instead.
    """
    return _cropped(item, diameter, enhance)


def keep_file(item: items.Item) -> processing.Processed:
    """Stores a file's own bytes after decoding them once.

    Args:
        item: Which one; `path` names the file.

    Returns:
        The example; a file that asks to be turned is turned and noted as
        "rotated" and "re-encoded". The circle is -1: it is not looked for.

    Raises:
        errors.BadImageError: If the file cannot be decoded.
    """
    data, digest = processing.read_source(item)
    picture = images.decode(data, name=item.path)
    if picture.is_rotated:
        data = images.encode_jpeg(picture.image)
    unknown = circles.Circle(-1.0, -1.0, -1.0)
    notes = ("rotated", "re-encoded") if picture.is_rotated else ()
    return _processed(item, data, digest, picture, unknown, notes)


def enhance(crop: Image.Image) -> Image.Image:
    """Puts four times the difference from the local mean on grey.

    Args:
        crop: A field of view that fills the square image.

    Returns:
        The image; grey (128) outside 0.9 of the field's radius.

    Example:
    >>> flat = Image.new("RGB", (60, 60), (200, 80, 10))
    >>> enhance(flat).getpixel((30, 30))
    (128, 128, 128)
    """
    pixels = np.asarray(crop, np.float64)
    radius = crop.width / 2
    sigma = crop.width / _BLUR_SHARE
    mean = ndimage.gaussian_filter(
        pixels, (sigma, sigma, 0), mode="mirror", truncate=3.0
    )
    raised = np.clip(np.rint(4 * (pixels - mean) + _GREY), 0, 255)
    y, x = np.ogrid[: crop.height, : crop.width]
    away = np.hypot(x + 0.5 - radius, y + 0.5 - radius)
    raised[away > _KEPT_SHARE * radius] = _GREY
    return Image.fromarray(raised.astype(np.uint8))


def _cropped(
    item: items.Item,
    diameter: int,
    finish: Callable[[Image.Image], Image.Image],
) -> processing.Processed:
    name = item.path
    data, digest = processing.read_source(item)
    least_size = max(round(_MARGIN * diameter), _FINDING_SIZE)
    picture = images.decode(data, name=name, least_size=least_size)
    circle = locate_circle(picture.image, name=name)
    is_reduced = picture.image.width < picture.width
    if is_reduced and 2 * circle.radius < diameter:
        picture = images.decode(data, name=name)
        circle = locate_circle(picture.image, name=name)
    crop = finish(crop_circle(picture.image, circle, diameter))
    original = circle.scaled(
        picture.width / picture.image.width,
        picture.height / picture.image.height,
    )
    is_enlarged = 2 * original.radius < _ENLARGED * diameter
    notes = ("enlarged",) * is_enlarged + ("rotated",) * picture.is_rotated
    encoded = images.encode_jpeg(crop)
    return _processed(item, encoded, digest, picture, original, notes)


def _processed(
    item: items.Item,
    encoded: bytes,
    digest: str,
    picture: images.Picture,
    circle: circles.Circle,
    notes: tuple[str, ...],
) -> processing.Processed:
    size = (picture.height, picture.width)
    return processing.Processed(
        example={
            "image": encoded,
            "image_id": item.image_id,
            "patient_id": item.patient_id,
            **item.values,
            "circle": np.array([circle.x, circle.y, circle.radius], np.float32),
            "original_size": np.array(size, np.int32),
            "source_sha256": digest,
        },
        notes=notes,
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
    small = image.reduce(max(1, max(image.size) // _FINDING_SIZE))
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
    padded = ImageOps.expand(image, border) if any(border) else image
    x, y = border[:2]
    return padded.resize(
        (diameter, diameter),
        Image.Resampling.BICUBIC,
        box=(left + x, top + y, right + x, bottom + y),
    )

"""Finding and cropping the field of view of a fundus photograph.

Workers import this module: nothing here imports TensorFlow.
"""

import math

import numpy as np
from PIL import Image, ImageOps

from transfusion_datasets import circles, processing
from transfusion_tf.raw import errors, images, items

# A field smaller by less than this is not counted as enlarged: the circle is
# not known more exactly.
_ENLARGED = 0.99
_FINDING_SIZE = 256  # Pixels in which the circle is looked for.


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
    name = item.path
    data, digest = processing.read_source(item)
    least_size = max(2 * diameter, _FINDING_SIZE)
    picture = images.decode(data, name=name, least_size=least_size)
    circle = locate_circle(picture.image, name=name)
    if picture.image.width < picture.width and 2 * circle.radius < diameter:
        picture = images.decode(data, name=name)
        circle = locate_circle(picture.image, name=name)
    crop = crop_circle(picture.image, circle, diameter)
    original = circle.scaled(
        picture.width / picture.image.width,
        picture.height / picture.image.height,
    )
    is_enlarged = 2 * original.radius < _ENLARGED * diameter
    return processing.Processed(
        example={
            "image": images.encode_jpeg(crop),
            "image_id": item.image_id,
            "patient_id": item.patient_id,
            **item.values,
            "circle": np.array(
                [original.x, original.y, original.radius], np.float32
            ),
            "original_size": np.array(
                [picture.height, picture.width], np.int32
            ),
            "source_sha256": digest,
        },
        notes=("enlarged",) * is_enlarged + ("rotated",) * picture.is_rotated,
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
    small.thumbnail((_FINDING_SIZE, _FINDING_SIZE), Image.Resampling.BOX)
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

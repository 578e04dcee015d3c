"""Images of any kind: kept as they are, or brought to one size.

Workers import this module: nothing here imports TensorFlow.
"""

import hashlib

from etils import epath

from transfusion_datasets import processing
from transfusion_tf.raw import images, items

# Of an item whose image is a stretch of a file: its first byte and length.
STRETCH = "stretch"


def process(item: items.Item, *, size: int | None) -> processing.Processed:
    """Reads an image as an example.

    Args:
        item: Which one: `path` names its file, or, with `STRETCH` among its
            values, the file that it is a stretch of.
        size: Side of the square image, pixels: the longer side is brought
            to it and the shorter filled up with black. `None` keeps the
            bytes.

    Returns:
        The example; noted as "enlarged" where the longer side is smaller
        than `size`, "rotated" where the file asked to be turned, and
        "re-encoded" where its bytes could therefore not be kept.

    Raises:
        errors.BadImageError: If the image cannot be decoded.
    """
    values = dict(item.values)
    name = f"{item.image_id} ({item.path})"
    data, digest = _read(item, values.pop(STRETCH, None))
    picture = images.decode(data, name=name, least_size=size)
    notes = ["rotated"] * picture.is_rotated
    if size is not None:
        notes += ["enlarged"] * (max(picture.width, picture.height) < size)
        data = images.encode_jpeg(images.to_square(picture.image, size))
    elif picture.is_rotated:
        notes.append("re-encoded")
        data = images.encode_jpeg(picture.image)
    return processing.Processed(
        example={
            "image": data,
            "image_id": item.image_id,
            "patient_id": item.patient_id,
            **values,
            "source_sha256": digest,
        },
        notes=tuple(notes),
    )


def _read(
    item: items.Item, stretch: tuple[int, int] | None
) -> tuple[bytes, str]:
    if stretch is None:
        return processing.read_source(item)
    start, length = stretch
    with epath.Path(item.path).open("rb") as file:
        file.seek(start)
        data = file.read(length)
    return data, hashlib.sha256(data).hexdigest()

"""What the chest X-ray data sets share: labels in their order, and images.

Workers import this module: nothing here imports TensorFlow.
"""

import numpy as np

from transfusion_datasets import processing
from transfusion_tf.raw import images, items

# The 14 columns of CheXpert in the order of its files.
LABEL_NAMES = (
    "No Finding",
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
)
POSITIVE, NEGATIVE, UNCERTAIN, UNMENTIONED = 1, 0, -1, -2
STATES = {
    "positive": POSITIVE,
    "negative": NEGATIVE,
    "uncertain": UNCERTAIN,
    "unmentioned": UNMENTIONED,
}
VIEWS = ("frontal", "lateral")
PROJECTIONS = ("AP", "PA", "LL", "RL", "none")
SEXES = ("Male", "Female", "Unknown")
UNKNOWN_AGE = -1


def label_counts(part: list[items.Item]) -> dict[str, dict[str, int]]:
    """Counts the states of each label.

    Args:
        part: Items with 14 labels at `labels`.

    Returns:
        Label to "positive", "negative", "uncertain" and "unmentioned" to
        number of images.
    """
    labels = np.array([item.values["labels"] for item in part], np.int8)
    return {
        name: {
            state: int((labels[:, place] == value).sum())
            for state, value in STATES.items()
        }
        for place, name in enumerate(LABEL_NAMES)
    }


def process(item: items.Item, *, size: int | None) -> processing.Processed:
    """Reads an X-ray as an example of `features.chest_xray()`.

    Args:
        item: Which one; `path` names the file.
        size: Side of the square image, pixels: the longer side is brought
            to it, the shorter filled up with black on both sides, so that
            shapes are kept. `None` keeps the file's bytes.

    Returns:
        The example; noted as "enlarged" where the longer side is smaller
        than `size`, "rotated" where the file asked to be turned, and
        "re-encoded" where its bytes could therefore not be kept.

    Raises:
        errors.BadImageError: If the file cannot be decoded.
    """
    data, digest = processing.read_source(item)
    picture = images.decode(data, name=item.path, least_size=size, mode="L")
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
            **item.values,
            "source_sha256": digest,
        },
        notes=tuple(notes),
    )

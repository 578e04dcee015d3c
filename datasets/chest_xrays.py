"""What the chest X-ray data sets share: labels in their order, and images.

Workers import this module: nothing here imports TensorFlow.
"""

from collections.abc import Sequence

import numpy as np

from transfusion_datasets import processing
from transfusion_tf.raw import images, items, label_states

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
VIEWS = ("frontal", "lateral")
PROJECTIONS = ("AP", "PA", "LL", "RL", "none")
SEXES = ("Male", "Female", "Unknown")
UNKNOWN_AGE = -1


def report_counts(part: Sequence[items.Item]) -> dict[str, dict[str, int]]:
    """Counts what the split report shows of chest X-rays.

    Args:
        part: Items with the values of `features.chest_xray()`.

    Returns:
        The number of studies, of images of each view and sex, and of each
        state of each label.
    """
    labels = np.array([item.values["labels"] for item in part], np.int8)
    return {
        "studies": {"all": len({i.values["study_id"] for i in part})},
        **{
            feature: {
                name: sum(item.values[feature] == name for item in part)
                for name in names
            }
            for feature, names in (("view", VIEWS), ("sex", SEXES))
        },
        **label_states.count_states(labels, LABEL_NAMES),
    }


def process(item: items.Item, *, size: int | None) -> processing.Processed:
    """Reads an X-ray as an example of `features.radiograph()`.

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

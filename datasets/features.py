"""The features that all fundus data sets share."""

import io
from typing import Any

import tensorflow_datasets as tfds

from transfusion_datasets import splits

EYES = ("left", "right", "unknown")


def fundus() -> dict[str, Any]:
    """Makes the tfds features of a fundus photograph.

    Returns:
        `image` (uint8 RGB, stored as JPEG), `grade` (ICDR, 0 to 4),
        `patient_id`, `eye` and `image_id` (unique in the data set).
    """
    return {
        "image": tfds.features.Image(
            shape=(None, None, 3), encoding_format="jpeg"
        ),
        "grade": tfds.features.ClassLabel(num_classes=splits.NUM_GRADES),
        "patient_id": tfds.features.Text(),
        "eye": tfds.features.ClassLabel(names=list(EYES)),
        "image_id": tfds.features.Text(),
    }


def example(photograph: splits.Photograph, encoded: bytes) -> dict[str, Any]:
    """Makes one example of `fundus()`.

    Args:
        photograph: Labels and names.
        encoded: The image as the bytes of a JPEG file.

    Returns:
        Feature name to value.
    """
    return {
        "image": io.BytesIO(encoded),
        "grade": photograph.grade,
        "patient_id": photograph.patient_id,
        "eye": photograph.eye,
        "image_id": photograph.image_id,
    }

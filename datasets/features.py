"""The features that data sets of one kind share."""

from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from transfusion_datasets import chest_xrays

EYES = ("left", "right", "unknown")
# International Clinical Diabetic Retinopathy grades, index = grade.
GRADES = ("none", "mild", "moderate", "severe", "proliferative")


def fundus() -> dict[str, Any]:
    """Makes the tfds features of a fundus image, photographed or drawn.

    Returns:
        `image` (uint8 RGB, stored as JPEG), `grade` (ICDR, 0 to 4, -1 where
        there is none), `patient_id`, `eye` and `image_id` (unique in the
        data set).
    """
    return {
        "image": tfds.features.Image(
            shape=(None, None, 3), encoding_format="jpeg"
        ),
        "grade": tfds.features.ClassLabel(names=list(GRADES)),
        "patient_id": tfds.features.Text(),
        "eye": tfds.features.ClassLabel(names=list(EYES)),
        "image_id": tfds.features.Text(),
    }


def photograph() -> dict[str, Any]:
    """Makes the tfds features of a fundus photograph.

    Returns:
        Those of `fundus`, and `gradable` (1, 0, or -1 where it is not
        known), `dme` (grade of macular edema, -1 where there is none),
        `circle` (centre x and y and radius of the field of view in pixels
        of the file), `original_size` (height and width of the file, pixels)
        and `source_sha256` (of the file, hexadecimal).
    """
    return {
        **fundus(),
        "gradable": tfds.features.Scalar(dtype=np.int8),
        "dme": tfds.features.Scalar(dtype=np.int8),
        "circle": tfds.features.Tensor(shape=(3,), dtype=np.float32),
        "original_size": tfds.features.Tensor(shape=(2,), dtype=np.int32),
        "source_sha256": tfds.features.Text(),
    }


def chest_xray() -> dict[str, Any]:
    """Makes the tfds features of a chest X-ray, photographed or drawn.

    Returns:
        `image` (uint8 grey, stored as JPEG), `labels` (int8 `[14]`, in the
        order of `chest_xrays.LABEL_NAMES`: 1 positive, 0 negative, -1
        uncertain, -2 not mentioned), `view`, `projection`, `sex`, `age`
        (years, -1 where it is not known), `patient_id`, `study_id` and
        `image_id` (unique in the data set).
    """
    return {
        "image": tfds.features.Image(
            shape=(None, None, 1), encoding_format="jpeg"
        ),
        "labels": tfds.features.Tensor(
            shape=(len(chest_xrays.LABEL_NAMES),), dtype=np.int8
        ),
        "view": tfds.features.ClassLabel(names=list(chest_xrays.VIEWS)),
        "projection": tfds.features.ClassLabel(
            names=list(chest_xrays.PROJECTIONS)
        ),
        "sex": tfds.features.ClassLabel(names=list(chest_xrays.SEXES)),
        "age": tfds.features.Scalar(dtype=np.int16),
        "patient_id": tfds.features.Text(),
        "study_id": tfds.features.Text(),
        "image_id": tfds.features.Text(),
    }


def radiograph() -> dict[str, Any]:
    """Makes the tfds features of a chest X-ray of a file.

    Returns:
        Those of `chest_xray`, and `source_sha256` (of the file,
        hexadecimal).
    """
    return {**chest_xray(), "source_sha256": tfds.features.Text()}


def plain(label: tfds.features.FeatureConnector) -> dict[str, Any]:
    """Makes the tfds features of an image of any kind.

    Args:
        label: The feature of its label.

    Returns:
        `image` (uint8 RGB), `label`, `patient_id`, `image_id` (unique in the
        data set) and `source_sha256` (of the file, hexadecimal).
    """
    return {
        "image": tfds.features.Image(
            shape=(None, None, 3), encoding_format="jpeg"
        ),
        "label": label,
        "patient_id": tfds.features.Text(),
        "image_id": tfds.features.Text(),
        "source_sha256": tfds.features.Text(),
    }

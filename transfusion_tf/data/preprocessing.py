"""From pixels to the input that a donor's weights expect."""

import tensorflow as tf

_IMAGENET_MEAN = (123.675, 116.28, 103.53)
_IMAGENET_STD = (58.395, 57.12, 57.375)
_CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)

PREPROCESSING_NAMES = ("caffe", "tf", "torch", "lite")


def normalize(images: tf.Tensor, preprocessing: str) -> tf.Tensor:
    """Scales pixels as the donor's weights expect them.

    Args:
        images: Pixels from 0 to 255, any dtype, `[batch, height, width, 3]`,
            RGB.
        preprocessing: "caffe" (BGR minus the ImageNet mean; ResNet50 of
            keras.applications), "tf" (to [-1, 1]; InceptionV3), "torch"
            (ImageNet mean and standard deviation; what the paper does) or
            "lite" ((x - 127) / 128; EfficientNet-Lite).

    Returns:
        float32, same shape.

    Raises:
        ValueError: If there is no such preprocessing.

    Example:
    >>> float(normalize(tf.fill([1, 1, 1, 3], 255), "tf")[0, 0, 0, 0])
    1.0
    """
    images = tf.cast(images, tf.float32)
    if preprocessing == "caffe":
        return images[..., ::-1] - tf.constant(_CAFFE_MEAN_BGR)
    if preprocessing == "tf":
        return images / 127.5 - 1.0
    if preprocessing == "torch":
        mean, std = tf.constant(_IMAGENET_MEAN), tf.constant(_IMAGENET_STD)
        return (images - mean) / std
    if preprocessing == "lite":
        return (images - 127.0) / 128.0
    raise ValueError(
        "There is no such preprocessing. Received: preprocessing="
        f"{preprocessing!r}. Use one of {', '.join(PREPROCESSING_NAMES)}."
    )

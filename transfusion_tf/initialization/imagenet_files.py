"""ImageNet weights of ResNet50 and Inception-v3, as Keras publishes them."""

import dataclasses
import functools
import hashlib
import os

import keras
from etils import epath

from transfusion_tf import models
from transfusion_tf.initialization import donors, h5_file

_URL = "https://storage.googleapis.com/tensorflow/keras-applications"


@dataclasses.dataclass(frozen=True)
class ImageNetFile:
    """A published file of weights without head.

    Attributes:
        title: The model's name there.
        folder: Where it is published, below the common address.
        name: Of the file.
        md5: Of the file, hexadecimal.
    """

    title: str
    folder: str
    name: str
    md5: str


FILES = {
    "resnet50": ImageNetFile(
        "ResNet50",
        "resnet",
        "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "4d473c1dd8becc155b73f8504c6f6626",
    ),
    "inception_v3": ImageNetFile(
        "InceptionV3",
        "inception_v3",
        "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "bcbd6486424b2319ff4ef7d526e38f63",
    ),
}


@functools.cache
def load(model_name: str) -> donors.Donor:
    """Loads the ImageNet weights of `resnet50` or `inception_v3`.

    They are taken from the cache of Keras, and downloaded into it otherwise.

    Raises:
        ConnectionError: They are not in the cache and cannot be downloaded.
    """
    file = FILES[model_name]
    path = _cached(file) or _download(file, model_name)
    content = donors.read_bytes(path)
    return donors.make(
        f"ImageNet (keras.applications {file.title})",
        model_name,
        h5_file.read(content, models.layout(model_name), os.fspath(path)),
        content=content,
        source=f"{_URL}/{file.folder}/{file.name}",
    )


def _cached(file: ImageNetFile) -> epath.Path | None:
    # Keras ignores a cache that it may not write to; a read-only one is
    # as good for reading.
    home = epath.Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser()
    path = home / "models" / file.name
    if not path.exists():
        return None
    digest = hashlib.md5(path.read_bytes(), usedforsecurity=False)
    return path if digest.hexdigest() == file.md5 else None


def _download(file: ImageNetFile, model_name: str) -> epath.Path:
    try:
        path = keras.utils.get_file(
            file.name,
            f"{_URL}/{file.folder}/{file.name}",
            cache_subdir="models",
            file_hash=file.md5,
        )
    except Exception as error:  # get_file raises bare Exception offline.
        raise ConnectionError(
            f"The ImageNet weights of {model_name} cannot be had. Received: "
            f"{error}. Get {file.name} (md5 {file.md5}) on a machine with "
            "access, and name it: --donor=PATH; or put it into models/ below "
            "$KERAS_HOME (~/.keras)."
        ) from error
    return epath.Path(path)

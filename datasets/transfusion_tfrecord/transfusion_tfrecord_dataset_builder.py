"""Builder of TFRecord files that were made elsewhere."""

import functools
from collections.abc import Sequence

import numpy as np
import tensorflow_datasets as tfds
from etils import epath

from transfusion_datasets import (
    builder,
    features,
    plain_builder,
    plain_images,
    processing,
    reports,
)
from transfusion_datasets.transfusion_tfrecord import layout
from transfusion_tf.raw import images, items, label_states

_NO_CLASSES = ("not of one class",)


class Builder(builder.PreparedBuilder):
    """Images of foreign records with a class or with findings."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}
    BUILDER_CONFIGS = [plain_builder.PlainConfig("original", None)]
    MANUAL_DOWNLOAD_INSTRUCTIONS = layout.WHERE
    MORE_CONFIGS = plain_builder.MORE_CONFIGS
    make_config = staticmethod(plain_builder.make_config)

    @classmethod
    def check_manual_dir(cls, manual_dir: epath.PathLike | None) -> None:
        """Raises unless the directory is there."""
        layout.check(manual_dir)

    def _info(self) -> tfds.core.DatasetInfo:
        # The names of the classes are set when the key map is read.
        label = tfds.features.ClassLabel()
        labels = tfds.features.Tensor(shape=(None,), dtype=np.int8)
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {**features.plain(label), "labels": labels}
            ),
            metadata=tfds.core.MetadataDict(jpeg_quality=images.JPEG_QUALITY),
        )

    def read(self, manual_dir: epath.Path | None) -> items.Parts:
        """Reads the key map and every record."""
        parts, key_map = layout.read(manual_dir)
        is_vector = key_map.kind == "vector"
        classes = _NO_CLASSES if is_vector else key_map.classes
        self.info.features["label"].names = list(classes)
        self.info.metadata["label"] = "labels" if is_vector else "label"
        self.info.metadata["label_names"] = list(key_map.names) or None
        return parts

    def processor(self) -> processing.Processor:
        """Keeps images, or brings them to the size of the configuration."""
        size = self.builder_config.size
        return functools.partial(plain_images.process, size=size)

    def label_counts(self, part: Sequence[items.Item]) -> reports.LabelCounts:
        """Counts the classes, or the states of the findings."""
        names = self.info.metadata["label_names"]
        if names is None:
            classes = self.info.features["label"].names
            return reports.count_classes(part, "label", classes)
        labels = np.array([item.values["labels"] for item in part])
        return label_states.count_states(labels, names)

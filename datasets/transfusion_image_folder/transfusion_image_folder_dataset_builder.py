"""Builder of class folders, and of images listed in a CSV file."""

import functools
from collections.abc import Sequence

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
from transfusion_tf.raw import errors, folders, images, items


class Builder(builder.PreparedBuilder):
    """Images of one class each, in folders or listed in labels.csv."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}
    BUILDER_CONFIGS = [plain_builder.PlainConfig("original", None)]
    MANUAL_DOWNLOAD_INSTRUCTIONS = folders.WHERE
    MORE_CONFIGS = plain_builder.MORE_CONFIGS
    make_config = staticmethod(plain_builder.make_config)

    @classmethod
    def check_manual_dir(cls, manual_dir: epath.PathLike | None) -> None:
        """Raises unless the directory holds classes."""
        if manual_dir is None:
            raise errors.ManualDirError(
                "Where are the images? Received: manual_dir=None. Give the "
                f"directory with --manual_dir=DIR. {folders.WHERE}"
            )
        try:
            folders.classes_of(manual_dir)
        except FileNotFoundError as error:
            raise errors.ManualDirError(
                f"{error} Give the directory with --manual_dir=DIR."
            ) from error

    def _info(self) -> tfds.core.DatasetInfo:
        # The names of the classes are set when the directory is read.
        label = tfds.features.ClassLabel()
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(features.plain(label)),
            supervised_keys=("image", "label"),
            metadata=tfds.core.MetadataDict(jpeg_quality=images.JPEG_QUALITY),
        )

    def read(self, manual_dir: epath.Path | None) -> items.Parts:
        """Reads the folders or the CSV file."""
        folder = folders.read(manual_dir or "")
        self.info.features["label"].names = list(folder.classes)
        return folder.parts

    def processor(self) -> processing.Processor:
        """Keeps images, or brings them to the size of the configuration."""
        size = self.builder_config.size
        return functools.partial(plain_images.process, size=size)

    def label_counts(self, part: Sequence[items.Item]) -> reports.LabelCounts:
        """Counts the classes."""
        names = self.info.features["label"].names
        return reports.count_classes(part, "label", names)

"""Builder of procedurally drawn chest X-rays; needs no raw files."""

import functools
from collections.abc import Sequence

import tensorflow_datasets as tfds
from etils import epath

from transfusion_datasets import (
    builder,
    chest_xrays,
    features,
    processing,
    reports,
)
from transfusion_datasets.transfusion_synthetic_cxr import generator
from transfusion_tf.raw import images, items

_SPLITS = tuple(generator.NUM_PATIENTS)
SIZES = (64, 96, 224)
RULE = (
    "Generated: 400, 100 and 200 patients, half of them with two studies. "
    "Labels of train as read from reports, at the rates of CheXpert; those "
    "of validation and test are what is drawn."
)


class SyntheticCxrConfig(tfds.core.BuilderConfig):
    """Side of the images, pixels."""

    def __init__(self, size: int) -> None:
        """Makes the configuration `n<size>`."""
        super().__init__(
            name=f"n{size}", description=f"Images of {size} x {size} pixels."
        )
        self.image_size = size


class Builder(builder.PreparedBuilder):
    """Draws chest X-rays with findings, labelled as CheXpert is."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}
    BUILDER_CONFIGS = [SyntheticCxrConfig(size) for size in SIZES]

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(features.chest_xray()),
            supervised_keys=("image", "labels"),
            metadata=tfds.core.MetadataDict(
                label_names=list(chest_xrays.LABEL_NAMES),
                jpeg_quality=images.JPEG_QUALITY,
                generator_version=generator.VERSION,
                generator_seed=generator.SEED,
            ),
        )

    def read(self, manual_dir: epath.Path | None) -> items.Parts:
        """Lists the X-rays to draw; there are no raw files."""
        del manual_dir
        parts = {name: generator.studies(name) for name in _SPLITS}
        return items.Parts(parts, RULE, salt=None)

    def processor(self) -> processing.Processor:
        """Draws an X-ray."""
        return functools.partial(
            generator.process, size=self.builder_config.image_size
        )

    def label_counts(self, part: Sequence[items.Item]) -> reports.LabelCounts:
        """Counts studies, views and sexes, and the states of the labels."""
        return chest_xrays.report_counts(part)

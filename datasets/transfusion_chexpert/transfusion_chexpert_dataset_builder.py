"""Builder of the CheXpert chest X-rays."""

import functools
import re
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
from transfusion_datasets.transfusion_chexpert import layout
from transfusion_tf.raw import images, items

_CONFIG = re.compile(r"(all|frontal|small|full)([1-9][0-9]{1,3})")
_ONLY = {"small": "CheXpert-v1.0-small", "full": "CheXpert-v1.0"}


class ChexpertConfig(tfds.core.BuilderConfig):
    """Which X-rays, and the side of the square images in pixels."""

    def __init__(self, kind: str, size: int | None) -> None:
        """Makes the configuration `<kind><size>`, or `original`."""
        name = "original" if size is None else f"{kind}{size}"
        views = "Frontal views" if kind == "frontal" else "Every view"
        pixels = "as the files are" if size is None else f"{size} x {size}"
        super().__init__(name=name, description=f"{views}, {pixels} pixels.")
        self.views = ("frontal",) if kind == "frontal" else chest_xrays.VIEWS
        self.only = _ONLY.get(kind)
        if size is not None:
            self.image_size = size


class Builder(builder.PreparedBuilder):
    """Chest X-rays with 14 raw labels: 1, 0, -1 uncertain, -2 unmentioned."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}
    BUILDER_CONFIGS = [
        ChexpertConfig("all", 224),
        ChexpertConfig("frontal", 224),
        ChexpertConfig("small", 320),
        ChexpertConfig("full", 320),
        ChexpertConfig("all", None),
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = layout.WHERE
    MORE_CONFIGS = (
        " and allN, frontalN, smallN and fullN for any size N from 10 to 9999 "
        "pixels"
    )

    @classmethod
    def make_config(cls, name: str) -> ChexpertConfig | None:
        """Makes the configuration of another size, or gives `None`."""
        match = _CONFIG.fullmatch(name)
        return ChexpertConfig(match[1], int(match[2])) if match else None

    @classmethod
    def check_manual_dir(cls, manual_dir: epath.PathLike | None) -> None:
        """Raises unless the directory has one of the layouts."""
        layout.check(manual_dir)

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(features.radiograph()),
            supervised_keys=("image", "labels"),
            homepage="https://stanfordmlgroup.github.io/competitions/chexpert/",
            metadata=tfds.core.MetadataDict(
                label_names=list(chest_xrays.LABEL_NAMES),
                jpeg_quality=images.JPEG_QUALITY,
            ),
        )

    def read(self, manual_dir: epath.Path | None) -> items.Parts:
        """Reads whichever layout is there."""
        config = self.builder_config
        return layout.read(manual_dir, only=config.only, views=config.views)

    def processor(self) -> processing.Processor:
        """Brings X-rays to the size of the configuration."""
        size = getattr(self.builder_config, "image_size", None)
        return functools.partial(chest_xrays.process, size=size)

    def label_counts(self, part: Sequence[items.Item]) -> reports.LabelCounts:
        """Counts studies, views and sexes, and the states of the labels."""
        return chest_xrays.report_counts(part)

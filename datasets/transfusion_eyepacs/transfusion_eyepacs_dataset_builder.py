"""Builder of the EyePACS photographs, cropped to their circular field."""

import functools
import re

import tensorflow_datasets as tfds
from etils import epath

from transfusion_datasets import builder, features, fundus_images, processing
from transfusion_datasets.transfusion_eyepacs import layout
from transfusion_tf.raw import images, items

_CONFIG = re.compile(r"circle([1-9][0-9]{1,3})")


class EyepacsConfig(tfds.core.BuilderConfig):
    """Diameter to which the field of view is rescaled, pixels."""

    def __init__(self, diameter: int) -> None:
        """Makes the configuration `circle<diameter>`."""
        super().__init__(
            name=f"circle{diameter}",
            description=f"Field of view of {diameter} pixels in diameter.",
        )
        self.image_size = diameter


class Builder(builder.PreparedBuilder):
    """Photographs of the 2015 competition with their raw ICDR grades."""

    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES = {
        "2.0.0": "In the order of a hash of the ids; gradable and dme added.",
        "1.0.0": "First version.",
    }
    BUILDER_CONFIGS = [EyepacsConfig(587), EyepacsConfig(299)]
    MANUAL_DOWNLOAD_INSTRUCTIONS = layout.WHERE
    COUNTED = {"grade": features.GRADES}
    MORE_CONFIGS = " and circleN for any diameter N from 10 to 9999 pixels"

    @classmethod
    def make_config(cls, name: str) -> EyepacsConfig | None:
        """Makes the configuration `circleN`, or gives `None`."""
        match = _CONFIG.fullmatch(name)
        return EyepacsConfig(int(match[1])) if match else None

    @classmethod
    def check_manual_dir(cls, manual_dir: epath.PathLike | None) -> None:
        """Raises unless the directory has the official layout."""
        layout.check(manual_dir)

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(features.photograph()),
            supervised_keys=("image", "grade"),
            homepage="https://www.kaggle.com/c/diabetic-retinopathy-detection",
            metadata=tfds.core.MetadataDict(
                diameter=self.builder_config.image_size,
                jpeg_quality=images.JPEG_QUALITY,
            ),
        )

    def read(self, manual_dir: epath.Path | None) -> items.Parts:
        """Reads the official layout."""
        return layout.read(manual_dir)

    def processor(self) -> processing.Processor:
        """Crops photographs to their field of view."""
        return functools.partial(
            fundus_images.crop_field, diameter=self.builder_config.image_size
        )

"""What the builders of fundus photographs share: configurations, features."""

import functools
import re

import tensorflow_datasets as tfds
from etils import epath

from transfusion_datasets import builder, features, fundus_images, processing
from transfusion_tf.raw import images, items

_CONFIG = re.compile(r"(circle|btgraham)([1-9][0-9]{1,3})")


class FundusConfig(tfds.core.BuilderConfig):
    """What is done to the photographs, and the side of the result, pixels."""

    def __init__(self, kind: str, diameter: int | None = None) -> None:
        """Makes `circle<diameter>`, `btgraham<diameter>` or `original`."""
        descriptions = {
            "circle": f"Field of view of {diameter} pixels in diameter.",
            "btgraham": (
                f"Field of view of {diameter} pixels in diameter, local mean "
                "subtracted (Graham 2015)."
            ),
            "original": "The files as they are.",
        }
        super().__init__(
            name=kind if diameter is None else f"{kind}{diameter}",
            description=descriptions[kind],
        )
        self.kind = kind
        if diameter is not None:
            self.image_size = diameter


class FundusBuilder(builder.PreparedBuilder, skip_registration=True):
    """Base of the builders of fundus photographs.

    Attributes:
        HOMEPAGE: Where the data set is described.
    """

    BUILDER_CONFIGS = [
        FundusConfig("circle", 587),
        FundusConfig("circle", 299),
        FundusConfig("btgraham", 300),
        FundusConfig("original"),
    ]
    COUNTED = {"grade": features.GRADES}
    MORE_CONFIGS = (
        " and circleN and btgrahamN for any diameter N from 10 to 9999 pixels"
    )
    HOMEPAGE: str

    @classmethod
    def make_config(cls, name: str) -> FundusConfig | None:
        """Makes the configuration of another diameter, or gives `None`."""
        match = _CONFIG.fullmatch(name)
        return FundusConfig(match[1], int(match[2])) if match else None

    @classmethod
    def read_layout(cls, manual_dir: epath.PathLike | None) -> items.Parts:
        """Reads the files' own layout."""
        raise NotImplementedError

    @classmethod
    def check_manual_dir(cls, manual_dir: epath.PathLike | None) -> None:
        """Raises unless the directory has the layout."""
        raise NotImplementedError

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(features.photograph()),
            supervised_keys=("image", "grade"),
            homepage=self.HOMEPAGE,
            metadata=tfds.core.MetadataDict(
                processing=self.builder_config.description,
                jpeg_quality=images.JPEG_QUALITY,
            ),
        )

    def read(self, manual_dir: epath.Path | None) -> items.Parts:
        """Reads the files' own layout."""
        return self.read_layout(manual_dir)

    def processor(self) -> processing.Processor:
        """Makes of photographs what the configuration says."""
        config = self.builder_config
        if config.kind == "original":
            return fundus_images.keep_file
        function = {
            "circle": fundus_images.crop_field,
            "btgraham": fundus_images.subtract_local_mean,
        }[config.kind]
        return functools.partial(function, diameter=config.image_size)

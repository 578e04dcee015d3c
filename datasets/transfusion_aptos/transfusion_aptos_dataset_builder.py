"""Builder of the APTOS 2019 photographs."""

import tensorflow_datasets as tfds
from etils import epath

from transfusion_datasets import fundus_builder
from transfusion_datasets.transfusion_aptos import layout
from transfusion_tf.raw import items


class Builder(fundus_builder.FundusBuilder):
    """Photographs of the 2019 competition with their raw ICDR grades."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = layout.WHERE
    HOMEPAGE = "https://www.kaggle.com/c/aptos2019-blindness-detection"

    @classmethod
    def check_manual_dir(cls, manual_dir: epath.PathLike | None) -> None:
        """Raises unless the directory has the official layout."""
        layout.check(manual_dir)

    @classmethod
    def read_layout(cls, manual_dir: epath.PathLike | None) -> items.Parts:
        """Reads the official layout."""
        return layout.read(manual_dir)

"""Builder of the EyePACS photographs."""

import tensorflow_datasets as tfds
from etils import epath

from transfusion_datasets import fundus_builder
from transfusion_datasets.transfusion_eyepacs import layout
from transfusion_tf.raw import items


class Builder(fundus_builder.FundusBuilder):
    """Photographs of the 2015 competition with their raw ICDR grades."""

    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES = {
        "2.0.0": "In the order of a hash of the ids; decoded at the scale that "
        "is needed; gradable and dme added.",
        "1.0.0": "First version.",
    }
    MANUAL_DOWNLOAD_INSTRUCTIONS = layout.WHERE
    HOMEPAGE = "https://www.kaggle.com/c/diabetic-retinopathy-detection"

    @classmethod
    def check_manual_dir(cls, manual_dir: epath.PathLike | None) -> None:
        """Raises unless the directory has the official layout."""
        layout.check(manual_dir)

    @classmethod
    def read_layout(cls, manual_dir: epath.PathLike | None) -> items.Parts:
        """Reads the official layout."""
        return layout.read(manual_dir)

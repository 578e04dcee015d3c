"""Builder of the IDRiD photographs (disease grading)."""

import tensorflow_datasets as tfds
from etils import epath

from transfusion_datasets import fundus_builder
from transfusion_datasets.transfusion_idrid import layout
from transfusion_tf.raw import items


class Builder(fundus_builder.FundusBuilder):
    """Photographs of the Indian Diabetic Retinopathy Image Dataset."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = layout.WHERE
    HOMEPAGE = "https://idrid.grand-challenge.org"

    @classmethod
    def check_manual_dir(cls, manual_dir: epath.PathLike | None) -> None:
        """Raises unless the directory has the official layout."""
        layout.check(manual_dir)

    @classmethod
    def read_layout(cls, manual_dir: epath.PathLike | None) -> items.Parts:
        """Reads the official layout."""
        return layout.read(manual_dir)

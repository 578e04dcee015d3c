"""Builder of the Messidor-2 photographs."""

import tensorflow_datasets as tfds
from etils import epath

from transfusion_datasets import fundus_builder
from transfusion_datasets.transfusion_messidor2 import layout
from transfusion_tf.raw import items


class Builder(fundus_builder.FundusBuilder):
    """Photographs of Messidor-2 with adjudicated ICDR grades; test only."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = layout.WHERE
    HOMEPAGE = "https://www.adcis.net/en/third-party/messidor2"

    @classmethod
    def check_manual_dir(cls, manual_dir: epath.PathLike | None) -> None:
        """Raises unless the directory has the official layout."""
        layout.check(manual_dir)

    @classmethod
    def read_layout(cls, manual_dir: epath.PathLike | None) -> items.Parts:
        """Reads the official layout."""
        return layout.read(manual_dir)

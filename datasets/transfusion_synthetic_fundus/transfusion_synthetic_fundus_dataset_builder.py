"""Builder of procedurally drawn fundus photographs; needs no raw files."""

import functools

import tensorflow_datasets as tfds
from etils import epath

from transfusion_datasets import builder, features, processing
from transfusion_datasets.transfusion_synthetic_fundus import generator
from transfusion_tf.raw import items

_SPLITS = tuple(generator.NUM_PATIENTS)
SIZES = (64, 96, 112, 224)
RULE = (
    "Generated: 200, 50 and 100 patients with both eyes each; grades "
    "re-balanced so that about 40 % of the images are referable."
)


class SyntheticFundusConfig(tfds.core.BuilderConfig):
    """Side of the images, pixels."""

    def __init__(self, size: int) -> None:
        """Makes the configuration `n<size>`."""
        super().__init__(
            name=f"n{size}", description=f"Images of {size} x {size} pixels."
        )
        self.image_size = size


class Builder(builder.PreparedBuilder):
    """Draws eyes of five grades that colour alone does not tell apart."""

    VERSION = tfds.core.Version("1.1.0")
    RELEASE_NOTES = {
        "1.1.0": "The same images in the order of a hash of their ids.",
        "1.0.0": "First version.",
    }
    COUNTED = {"grade": features.GRADES}
    BUILDER_CONFIGS = [SyntheticFundusConfig(size) for size in SIZES]

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(features.fundus()),
            supervised_keys=("image", "grade"),
            metadata=tfds.core.MetadataDict(
                generator_version=generator.VERSION,
                generator_seed=generator.SEED,
                grade_prior=list(generator.GRADE_PRIOR),
            ),
        )

    def read(self, manual_dir: epath.Path | None) -> items.Parts:
        """Lists the eyes to draw; there are no raw files."""
        del manual_dir
        parts = {name: generator.patients(name) for name in _SPLITS}
        return items.Parts(parts, RULE, salt=None)

    def processor(self) -> processing.Processor:
        """Draws an eye."""
        return functools.partial(
            generator.process, size=self.builder_config.image_size
        )

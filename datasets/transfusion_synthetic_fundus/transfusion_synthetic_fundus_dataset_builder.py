"""Builder of procedurally drawn fundus photographs; needs no raw files."""

from collections.abc import Iterator
from typing import Any

import tensorflow_datasets as tfds

from transfusion_datasets import features, images, splits
from transfusion_datasets.transfusion_synthetic_fundus import generator

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


class Builder(tfds.core.GeneratorBasedBuilder):
    """Draws eyes of five grades that colour alone does not tell apart."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}
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

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Any]:
        del dl_manager  # Nothing is downloaded.
        parts = {name: generator.patients(name) for name in _SPLITS}
        splits.check_patient_disjoint(parts)
        self.info.metadata["split_report"] = splits.describe(
            parts, rule=RULE, salt=None
        )
        return {
            name: self._generate_examples(part) for name, part in parts.items()
        }

    def _generate_examples(
        self, photographs: list[splits.Photograph]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        for photograph in photographs:
            image = generator.draw(photograph, self.builder_config.image_size)
            yield (
                photograph.image_id,
                features.example(photograph, images.encode_jpeg(image)),
            )

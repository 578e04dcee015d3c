"""Reads Keras weight files, of either format, into our variable names.

Layers are matched by their order, because `keras.applications` numbers layers
through the process; every shape is compared.
"""

import dataclasses
import io
import itertools
from collections.abc import Iterator, Mapping, Sequence

import h5py
import numpy as np

from transfusion_tf.models import LayerLayout, Layout

# Names of layers in a .weights.h5 file are those of their classes.
_KINDS = {
    "Conv2D": "conv2d",
    "DepthwiseConv2D": "depthwise_conv2d",
    "BatchNormalization": "batch_normalization",
    "Dense": "dense",
}
# What h5py raises on files that are cut short or overwritten.
_DAMAGE = (OSError, KeyError, RuntimeError, TypeError, ValueError)


@dataclasses.dataclass(frozen=True)
class _Layer:
    """A layer of the file that has weights."""

    name: str
    arrays: tuple[np.ndarray, ...]


def read(content: bytes, layout: Layout, path: str) -> dict[str, np.ndarray]:
    """Reads the weights of one architecture.

    Args:
        content: The bytes of a `.weights.h5` file of Keras 3, or of a legacy
            `.h5` file (weights or whole model, with or without its head).
        layout: The architecture.
        path: Of the file, for messages.

    Returns:
        `{"layer/variable": float32 array}`; the head too where the file has
        one.

    Raises:
        ValueError: The file is damaged, no weights file, or of another
            architecture; the message names the layer and both shapes.
    """
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            layers = _read_layers(file, layout)
    except _DAMAGE as error:
        raise ValueError(
            "The donor's file cannot be read: it is damaged, or it is no "
            f"weights file of Keras. Received: {path!r} ({error}). Get it "
            "again, or write it with `model.save_weights('x.weights.h5')`."
        ) from error
    return _match(layers, layout, path)


def _read_layers(file: h5py.File, layout: Layout) -> list[_Layer]:
    if "layers" in file:
        return list(_keras_3_layers(file["layers"], layout))
    if "model_weights" in file:
        return list(_legacy_layers(file["model_weights"]))
    if "layer_names" in file.attrs or "layer_names0" in file.attrs:
        return list(_legacy_layers(file))
    raise ValueError(f"it holds {sorted(file)}, and no layers")


def _keras_3_layers(group: h5py.Group, layout: Layout) -> Iterator[_Layer]:
    """Yields the file's layers in the architecture's order.

    Those that the architecture has not come just before the head.
    """
    names = _class_names(layout)
    present = [name for name in group if len(group[name]["vars"])]
    more = sorted(set(present) - set(names))
    for name in [*names[:-1], *more, names[-1]]:
        if name in present:
            yield _keras_3_layer(group, name)


def _class_names(layout: Layout) -> list[str]:
    """Returns what a `.weights.h5` file calls the layers: `conv2d_3` ..."""
    counts: dict[str, int] = {}
    names = []
    for layer in layout.layers:
        kind = _KINDS[layer.kind]
        count = counts[kind] = counts.get(kind, -1) + 1
        names.append(f"{kind}_{count}" if count else kind)
    return names


def _keras_3_layer(group: h5py.Group, name: str) -> _Layer:
    variables = group[name]["vars"]
    arrays = [_array(variables[str(i)]) for i in range(len(variables))]
    return _Layer(str(variables.attrs.get("name", name)), tuple(arrays))


def _legacy_layers(group: h5py.Group) -> Iterator[_Layer]:
    for name in _strings(group, "layer_names"):
        weight_names = _strings(group[name], "weight_names")
        if weight_names:
            arrays = [_array(group[name][weight]) for weight in weight_names]
            yield _Layer(name, tuple(arrays))


def _strings(group: h5py.Group, name: str) -> list[str]:
    """Reads a list of names; long lists are spread over several attributes."""
    if name in group.attrs:
        chunks = [group.attrs[name]]
    else:
        keys = (f"{name}{i}" for i in itertools.count())
        present = itertools.takewhile(lambda key: key in group.attrs, keys)
        chunks = [group.attrs[key] for key in present]
    return [
        text.decode() if isinstance(text, bytes) else str(text)
        for chunk in chunks
        for text in chunk
    ]


def _array(dataset: h5py.Dataset) -> np.ndarray:
    if dataset.dtype.kind != "f":
        raise ValueError(f"{dataset.name} holds {dataset.dtype}, no floats")
    return np.asarray(dataset[()], dtype=np.float32)


def _match(
    layers: Sequence[_Layer], layout: Layout, path: str
) -> dict[str, np.ndarray]:
    values: dict[str, np.ndarray] = {}
    backbone = [x for x in layout.layers if x.name not in layout.head]
    head = layout.layers[-1]
    for ours, theirs in itertools.zip_longest(backbone, layers):
        if ours is None and head.name not in {k.split("/")[0] for k in values}:
            values |= _matched_head(head, theirs, path)
        elif ours is None or theirs is None:
            raise _mismatch(ours, theirs, path)
        else:
            values |= _matched(ours, theirs, path)
    return values


def _matched(
    ours: LayerLayout, theirs: _Layer, path: str
) -> Mapping[str, np.ndarray]:
    if _shapes(ours) != [array.shape for array in theirs.arrays]:
        raise _mismatch(ours, theirs, path)
    keys = [f"{ours.name}/{variable}" for variable in ours.shapes]
    return dict(zip(keys, theirs.arrays, strict=True))


def _matched_head(
    ours: LayerLayout, theirs: _Layer, path: str
) -> Mapping[str, np.ndarray]:
    """Matches a head with any number of outputs."""
    shapes = [array.shape[:-1] for array in theirs.arrays]
    if [shape[:-1] for shape in _shapes(ours)] != shapes:
        raise _mismatch(ours, theirs, path)
    keys = [f"{ours.name}/{variable}" for variable in ours.shapes]
    return dict(zip(keys, theirs.arrays, strict=True))


def _shapes(layer: LayerLayout) -> list[tuple[int, ...]]:
    return list(layer.shapes.values())


def _mismatch(
    ours: LayerLayout | None, theirs: _Layer | None, path: str
) -> ValueError:
    model = f"{ours.name!r} with {_shapes(ours)}" if ours else "no more layers"
    donor = "no more layers"
    if theirs is not None:
        shapes = [array.shape for array in theirs.arrays]
        donor = f"{theirs.name!r} with {shapes}"
    return ValueError(
        "The donor is of another architecture: layer by layer in model order, "
        f"the model has {model} where the donor has {donor}. "
        f"Received: {path!r}. Name weights of the same architecture "
        "(--donor=...), or give the donor's architecture (--model=...)."
    )

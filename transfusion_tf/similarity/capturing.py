"""Activations of named layers of any Keras model, subclassed ones too.

No second model is built: while the model runs, the layers asked for keep what
their `call` returns. Within a traced function this happens once, in tracing.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf


def layers_of(model: keras.Model) -> dict[str, keras.layers.Layer]:
    """Names all layers of a model that has run or was built.

    Args:
        model: Functional, sequential or subclassed.

    Returns:
        Layer by name, those within another one as "outer/inner".

    Raises:
        ValueError: If two layers have one name.

    Example:
    >>> model = keras.Sequential(
    ...     [keras.Input([4]), keras.layers.Dense(2, name="hidden")])
    >>> list(layers_of(model))
    ['hidden']
    """
    found: dict[str, keras.layers.Layer] = {}
    _add_layers(model, "", found)
    return found


def default_layer_names(model: keras.Model) -> list[str]:
    """Names the layers with weights that lie in no other layer."""
    return [
        name
        for name, layer in layers_of(model).items()
        if layer.weights and "/" not in name
    ]


def find_layers(
    model: keras.Model, names: Sequence[str]
) -> dict[str, keras.layers.Layer]:
    """Looks layers up by their names, as `layers_of` gives them.

    Raises:
        ValueError: If a name is unknown; the message lists the model's.
    """
    known = layers_of(model)
    for name in names:
        if name not in known:
            raise ValueError(
                f"The model has no such layer. Received: layer={name!r} of "
                f"model {model.name!r}. It has {', '.join(known) or 'none'}."
            )
    return {name: known[name] for name in names}


def run(
    model: keras.Model,
    layers: Mapping[str, keras.layers.Layer],
    images: tf.Tensor,
) -> dict[str, tf.Tensor]:
    """Runs a model in inference mode and keeps what layers return.

    Args:
        model: The model.
        layers: Layers of it, by name.
        images: A batch, as the model takes it.

    Returns:
        By name `[batch, ..., num_channels]`, floating.

    Raises:
        ValueError: If a layer did not run, ran several times, or returns
            something else.

    Example:
    >>> model = keras.Sequential(
    ...     [keras.Input([4]), keras.layers.Dense(2, name="hidden")])
    >>> run(model, find_layers(model, ["hidden"]), tf.ones([3, 4]))[
    ...     "hidden"].shape.as_list()
    [3, 2]
    """
    with contextlib.ExitStack() as stack:
        outputs = {
            name: stack.enter_context(_recorded(layer))
            for name, layer in layers.items()
        }
        model(images, training=False)
    return {name: _only_output(name, outputs[name]) for name in layers}


def _add_layers(
    outer: keras.layers.Layer,
    prefix: str,
    found: dict[str, keras.layers.Layer],
) -> None:
    # A model knows better which of its layers are its own parts.
    inner = (
        outer.layers
        if isinstance(outer, keras.Model)
        else outer._flatten_layers(include_self=False, recursive=False)
    )
    for layer in inner:
        name = prefix + layer.name
        if name in found:
            raise ValueError(
                f"Layers are told apart by name. Received: two of {name!r}. "
                "Give each layer another name."
            )
        found[name] = layer
        _add_layers(layer, f"{name}/", found)


@contextlib.contextmanager
def _recorded(layer: keras.layers.Layer) -> Iterator[list[Any]]:
    """Within it, what each call of a layer returns is added to the list."""
    outputs: list[Any] = []
    call: Callable[..., Any] = layer.call

    @functools.wraps(call)
    def recording(*args: Any, **kwargs: Any) -> Any:
        output = call(*args, **kwargs)
        outputs.append(output)
        return output

    # Not by assignment: Keras would track it, and the class keeps its own.
    attributes = vars(layer)
    before = attributes.get("call")
    attributes["call"] = recording
    try:
        yield outputs
    finally:
        if before is None:
            del attributes["call"]
        else:
            attributes["call"] = before


def _only_output(name: str, outputs: list[Any]) -> tf.Tensor:
    if len(outputs) != 1:
        raise ValueError(
            "A layer to compare runs once for a batch. Received: "
            f"{name!r}, which ran {len(outputs)} times. Name another layer."
        )
    values = outputs[0]
    is_fit = (
        tf.is_tensor(values)
        and values.dtype.is_floating
        and values.shape.rank is not None
        and values.shape.rank >= 2
        and None not in values.shape[1:]
    )
    if not is_fit:
        raise ValueError(
            "A layer to compare returns one tensor of numbers, [batch, ..., "
            f"num_channels]. Received: {name!r}, which returns {values}. "
            "Name another layer."
        )
    return values

"""A Keras model whose layers are grouped into stages."""

import collections
import dataclasses
import functools
from collections.abc import Mapping, Sequence

import keras


@dataclasses.dataclass(frozen=True)
class Stage:
    """An ordered group of layers that the paper treats as one unit.

    Attributes:
        name: The paper's word for it, such as `conv1` or `block2`.
        layers: Names of its layers, in model order.
        output: Name of the layer whose output tensor ends the stage. In the
            CBR family and in the first stages of the ImageNet models this is
            the ReLU before the pool: similarity is read there.
    """

    name: str
    layers: tuple[str, ...]
    output: str


@dataclasses.dataclass(frozen=True, eq=False)
class StagedModel:
    """A flat functional model with its stages; made by `models.build`.

    Attributes:
        name: As `models.build` takes it.
        architecture: The one of `models.MODEL_NAMES` that it is or is a
            variant of: donors are of an architecture.
        model: Input float32 `[batch, height, width, 3]`, already normalised;
            output float32 logits `[batch, num_outputs]`.
        stages: The stages in model order. The head is no stage.
        head: Names of the head's layers: pooling and classification.
        preprocessing: How images are normalised for its ImageNet weights:
            `caffe`, `tf`, `lite` or `torch`.
    """

    name: str
    architecture: str
    model: keras.Model
    stages: tuple[Stage, ...]
    head: tuple[str, ...]
    preprocessing: str

    def stage(self, name: str) -> Stage:
        """Returns the stage called `name`.

        Raises:
            ValueError: There is no such stage; the message lists them.
        """
        for stage in self.stages:
            if stage.name == name:
                return stage
        raise ValueError(
            f"{self.name} has no such stage. Received: stage={name!r}. "
            f"Its stages are {', '.join(s.name for s in self.stages)}."
        )

    def stage_of(self, layer_name: str) -> str:
        """Returns the name of the stage that holds a layer, or `head`.

        Raises:
            ValueError: The model has no such layer.
        """
        try:
            return self._stage_by_layer[layer_name]
        except KeyError:
            raise ValueError(
                f"{self.name} has no such layer. Received: "
                f"layer_name={layer_name!r}. `staged.model.summary()` "
                "lists its layers."
            ) from None

    @functools.cached_property
    def _stage_by_layer(self) -> Mapping[str, str]:
        owners = {layer: "head" for layer in self.head}
        for stage in self.stages:
            owners.update(dict.fromkeys(stage.layers, stage.name))
        return owners

    def variables(self) -> dict[str, keras.Variable]:
        """Returns every weight, moving statistics included, in model order.

        Returns:
            `{"layer/variable": variable}`, for example `"conv1_bn/gamma"`. The
            keys of a model are the same in every process and instance.
        """
        return {
            f"{layer.name}/{variable.name}": variable
            for layer in self.model.layers
            for variable in layer.weights
        }

    def feature_model(self) -> keras.Model:
        """Returns a model from the input to what ends each stage.

        Returns:
            A model that shares this one's variables and outputs
            `{stage name: [batch, height, width, channels]}`.
        """
        outputs = {
            stage.name: self.model.get_layer(stage.output).output
            for stage in self.stages
        }
        return keras.Model(
            self.model.input, outputs, name=f"{self.architecture}_features"
        )


@dataclasses.dataclass(frozen=True)
class LayerLayout:
    """A layer that has weights.

    Attributes:
        name: Its name.
        kind: Its Keras class, such as `Conv2D`.
        shapes: `{variable name: shape}`, in the order of `layer.weights`.
    """

    name: str
    kind: str
    shapes: Mapping[str, tuple[int, ...]]


@dataclasses.dataclass(frozen=True)
class Layout:
    """What a model is made of, without values.

    Attributes:
        stages: The stages in model order.
        head: Names of the head's layers.
        layers: The layers that have weights, in model order.
    """

    stages: tuple[Stage, ...]
    head: tuple[str, ...]
    layers: tuple[LayerLayout, ...]


def layout_of(staged: StagedModel) -> Layout:
    """Describes a model."""
    layers = tuple(
        LayerLayout(
            layer.name,
            type(layer).__name__,
            {v.name: tuple(v.shape) for v in layer.weights},
        )
        for layer in staged.model.layers
        if layer.weights
    )
    return Layout(staged.stages, staged.head, layers)


def finish(
    name: str,
    architecture: str,
    backbone: keras.Model,
    stages: Sequence[Stage],
    *,
    num_outputs: int,
    preprocessing: str,
) -> StagedModel:
    """Puts the head on a backbone and checks that each layer has one owner.

    Pooling and head compute in float32 under every dtype policy of half
    precision, so that logits are float32.
    """
    dtype = keras.config.dtype_policy().variable_dtype
    pool = keras.layers.GlobalAveragePooling2D(
        name="global_average_pooling", dtype=dtype
    )
    dense = keras.layers.Dense(num_outputs, name="head", dtype=dtype)
    outputs = dense(pool(backbone.output))
    model = keras.Model(backbone.input, outputs, name=architecture)
    head = (pool.name, dense.name)
    _check_owners(model, stages, head)
    return StagedModel(
        name, architecture, model, tuple(stages), head, preprocessing
    )


def _check_owners(
    model: keras.Model, stages: Sequence[Stage], head: Sequence[str]
) -> None:
    owned = collections.Counter(head)
    for stage in stages:
        owned.update(stage.layers)
    layers = {
        layer.name
        for layer in model.layers
        if not isinstance(layer, keras.layers.InputLayer)
    }
    if set(owned) != layers or max(owned.values()) > 1:
        astray = sorted(set(owned) ^ layers)
        raise ValueError(
            f"Each layer of {model.name} belongs to exactly one stage or to "
            f"the head. Received: layers that do not: {astray}."
        )

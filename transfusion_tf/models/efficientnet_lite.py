"""EfficientNet-Lite0, 1 and 2: ImageNet models with weights on a package index.

They are no models of the paper. They stand in where the ImageNet weights of the
paper's models cannot be had, and make a series of sizes. There is no dropout
before the head (the original has 0.2): all randomness of this project is in
the input pipeline, which is what lets a run resume to the bit.

Source: Tan and Le 2019 (EfficientNet), and the lite models of its reference
    code.
"""

import dataclasses
import math

import keras

from transfusion_tf.models import staged_model


@dataclasses.dataclass(frozen=True)
class BlockGroup:
    """Inverted bottlenecks of one resolution and width.

    Attributes:
        kernel_size: Side of the depthwise kernel, pixels.
        strides: Of the group's first depthwise convolution.
        expansion: Channels inside a bottleneck over those that enter it.
        filters: Output channels.
        repeats: Number of bottlenecks.
    """

    kernel_size: int
    strides: int
    expansion: int
    filters: int
    repeats: int


STEM_FILTERS = 32
TOP_FILTERS = 1280
# Of each model, by what Lite0's widths and depths are multiplied.
SCALES = {
    "efficientnet_lite0": (1.0, 1.0),
    "efficientnet_lite1": (1.0, 1.1),
    "efficientnet_lite2": (1.1, 1.2),
}
_WIDTH_STEP = 8  # Widths are multiples of this.
_LITE0_GROUPS = (
    BlockGroup(3, 1, 1, 16, 1),
    BlockGroup(3, 2, 6, 24, 2),
    BlockGroup(5, 2, 6, 40, 2),
    BlockGroup(3, 2, 6, 80, 3),
    BlockGroup(5, 1, 6, 112, 3),
    BlockGroup(5, 2, 6, 192, 4),
    BlockGroup(3, 1, 6, 320, 1),
)


def block_groups(name: str) -> tuple[BlockGroup, ...]:
    """Returns the groups of a model.

    As in the reference code, widths are rounded to multiples of 8, depths up,
    and the first and the last group are not made deeper, nor stem and top
    wider.

    Example:
        >>> [group.repeats for group in block_groups("efficientnet_lite2")]
        [1, 3, 3, 4, 4, 5, 1]
    """
    width, depth = SCALES[name]
    last = len(_LITE0_GROUPS) - 1
    return tuple(
        dataclasses.replace(
            group,
            filters=_rounded(group.filters * width),
            repeats=group.repeats
            if place in (0, last)
            else math.ceil(group.repeats * depth),
        )
        for place, group in enumerate(_LITE0_GROUPS)
    )


def _rounded(width: float) -> int:
    nearest = max(int(width + _WIDTH_STEP / 2) // _WIDTH_STEP, 1) * _WIDTH_STEP
    # Never less than nine tenths of what was asked for.
    return nearest if nearest >= 0.9 * width else nearest + _WIDTH_STEP


def build_backbone(
    name: str, image_shape: tuple[int, int, int], batch_norm_momentum: float
) -> tuple[keras.Model, tuple[staged_model.Stage, ...]]:
    """Builds a model up to its head.

    Args:
        name: A key of `SCALES`.
        image_shape: `(height, width, 3)`, pixels.
        batch_norm_momentum: Of every batch norm's moving statistics.

    Returns:
        The model, and its stages `stem`, `block1` ... `block7`, `top`.
    """
    inputs = keras.Input(image_shape, name="image", dtype="float32")
    layers = _Layers(inputs, batch_norm_momentum)
    layers.convolution("stem", STEM_FILTERS, 3, strides=2)
    layers.end_stage("stem")
    in_filters = STEM_FILTERS
    for i, group in enumerate(block_groups(name)):
        for j in range(group.repeats):
            layers.bottleneck(
                f"block{i + 1}_{j + 1}",
                group,
                in_filters,
                strides=group.strides if j == 0 else 1,
            )
            in_filters = group.filters
        layers.end_stage(f"block{i + 1}")
    layers.convolution("top", TOP_FILTERS, 1)
    layers.end_stage("top")
    return keras.Model(inputs, layers.output), tuple(layers.stages)


class _Layers:
    """Applies layers one after the other and notes which stage holds them."""

    def __init__(self, inputs: keras.KerasTensor, momentum: float) -> None:
        self.output = inputs
        self.stages: list[staged_model.Stage] = []
        self._momentum = momentum
        self._names: list[str] = []

    def _apply(self, layer: keras.layers.Layer) -> None:
        self.output = layer(self.output)
        self._names.append(layer.name)

    def end_stage(self, name: str) -> None:
        names = tuple(self._names)
        self.stages.append(staged_model.Stage(name, names, names[-1]))
        self._names = []

    def _normalize(self, name: str, *, activate: bool) -> None:
        self._apply(
            keras.layers.BatchNormalization(
                momentum=self._momentum, epsilon=1e-3, name=f"{name}_bn"
            )
        )
        if activate:
            self._apply(keras.layers.ReLU(max_value=6, name=f"{name}_relu"))

    def convolution(
        self,
        name: str,
        filters: int,
        kernel_size: int,
        *,
        strides: int = 1,
        activate: bool = True,
    ) -> None:
        self._apply(
            keras.layers.Conv2D(
                filters,
                kernel_size,
                strides=strides,
                padding="same",
                use_bias=False,
                kernel_initializer=_initializer(),
                name=f"{name}_conv",
            )
        )
        self._normalize(name, activate=activate)

    def bottleneck(
        self, name: str, group: BlockGroup, in_filters: int, *, strides: int
    ) -> None:
        inputs = self.output
        if group.expansion > 1:
            self.convolution(f"{name}_expand", in_filters * group.expansion, 1)
        self._apply(
            keras.layers.DepthwiseConv2D(
                group.kernel_size,
                strides=strides,
                padding="same",
                use_bias=False,
                depthwise_initializer=_initializer(),
                name=f"{name}_depthwise_conv",
            )
        )
        self._normalize(f"{name}_depthwise", activate=True)
        self.convolution(f"{name}_project", group.filters, 1, activate=False)
        if strides == 1 and in_filters == group.filters:
            add = keras.layers.Add(name=f"{name}_add")
            self.output = add([self.output, inputs])
            self._names.append(add.name)


def _initializer() -> keras.initializers.Initializer:
    # That of the EfficientNet reference code: He, by fan-out.
    return keras.initializers.VarianceScaling(2.0, "fan_out")

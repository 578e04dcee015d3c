"""The CBR family: repeated convolution, batch norm, ReLU, max-pool.

Source: appendix of the paper (layer lists); Table 1 (parameter counts).
"""

import dataclasses

import keras

from transfusion_tf.models import staged_model


@dataclasses.dataclass(frozen=True)
class CBR:
    """One member of the family.

    Attributes:
        widths: Output channels of each stage.
        kernel_size: Side of every convolution kernel, pixels.
        num_pools: The first so many stages end in a max-pool.
    """

    widths: tuple[int, ...]
    kernel_size: int
    num_pools: int


# CBR-Tiny: the appendix prints the widths of CBR-LargeW, but the count of
# Table 1 is that of 32-64-128-256; `cbr_tiny_as_printed` follows the appendix.
FAMILY = {
    "cbr_large_t": CBR((32, 64, 128, 256, 512), kernel_size=7, num_pools=4),
    "cbr_large_w": CBR((64, 128, 256, 512), kernel_size=7, num_pools=4),
    "cbr_small": CBR((32, 64, 128, 256), kernel_size=7, num_pools=4),
    "cbr_tiny": CBR((32, 64, 128, 256), kernel_size=5, num_pools=4),
    "cbr_tiny_as_printed": CBR((64, 128, 256, 512), kernel_size=5, num_pools=4),
}


def build_backbone(
    name: str, image_shape: tuple[int, int, int], batch_norm_momentum: float
) -> tuple[keras.Model, tuple[staged_model.Stage, ...]]:
    """Builds a CBR network up to its head.

    Convolutions are SAME, stride 1 and without bias; pools are 3x3, stride 2
    and VALID. The paper states neither; these are the defaults of TF-Slim,
    and the parameter counts agree with them.

    Args:
        name: A key of `FAMILY`.
        image_shape: `(height, width, 3)`, pixels.
        batch_norm_momentum: Of every batch norm's moving statistics.

    Returns:
        The model, and its stages `conv1`, `conv2` ...
    """
    family = FAMILY[name]
    inputs = keras.Input(image_shape, name="image", dtype="float32")
    x, stages = inputs, []
    for i, width in enumerate(family.widths):
        layers = _stage_layers(
            f"conv{i + 1}",
            width,
            family.kernel_size,
            batch_norm_momentum,
            pool=i < family.num_pools,
        )
        for layer in layers:
            x = layer(x)
        names = tuple(layer.name for layer in layers)
        stages.append(
            staged_model.Stage(f"conv{i + 1}", names, f"conv{i + 1}_relu")
        )
    return keras.Model(inputs, x), tuple(stages)


def _stage_layers(
    prefix: str, width: int, kernel_size: int, momentum: float, *, pool: bool
) -> list[keras.layers.Layer]:
    layers: list[keras.layers.Layer] = [
        keras.layers.Conv2D(
            width,
            kernel_size,
            padding="same",
            use_bias=False,
            name=f"{prefix}_conv",
        ),
        keras.layers.BatchNormalization(momentum=momentum, name=f"{prefix}_bn"),
        keras.layers.ReLU(name=f"{prefix}_relu"),
    ]
    if pool:
        layers.append(
            keras.layers.MaxPooling2D(
                3, strides=2, padding="valid", name=f"{prefix}_pool"
            )
        )
    return layers

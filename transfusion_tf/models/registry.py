"""Model names, and `build`, the one way to make a model."""

import dataclasses
import functools
import numbers
from collections.abc import Callable

import keras

from transfusion_tf.models import (
    cbr,
    efficientnet_lite,
    imagenet_models,
    staged_model,
    variants,
)

_Backbone = tuple[keras.Model, tuple[staged_model.Stage, ...]]


@dataclasses.dataclass(frozen=True)
class _Architecture:
    backbone: Callable[[tuple[int, int, int], float], _Backbone]
    preprocessing: str
    min_image_size: int


_ARCHITECTURES = {
    "resnet50": _Architecture(imagenet_models.build_resnet50, "caffe", 32),
    "inception_v3": _Architecture(imagenet_models.build_inception_v3, "tf", 75),
    **{
        # Four 3x3 pools of stride 2 leave one pixel of 31.
        name: _Architecture(
            functools.partial(cbr.build_backbone, name), "torch", 31
        )
        for name in cbr.FAMILY
    },
    **{
        name: _Architecture(
            functools.partial(efficientnet_lite.build_backbone, name),
            "lite",
            32,
        )
        for name in efficientnet_lite.SCALES
    },
}
MODEL_NAMES: tuple[str, ...] = tuple(_ARCHITECTURES)


def build(
    name: str,
    *,
    num_outputs: int,
    image_shape: tuple[int, int, int],
    batch_norm_momentum: float = 0.99,
) -> staged_model.StagedModel:
    """Builds a model by name.

    Its first values are those of Keras; `initialization.initialize` sets them
    by scheme and seed. Layers compute under the global dtype policy, logits are
    float32 under every policy.

    Args:
        name: One of `MODEL_NAMES`, or a variant of one, see `variants`.
        num_outputs: Number of logits, at least 1.
        image_shape: `(height, width, 3)`, pixels.
        batch_norm_momentum: Of every batch norm's moving statistics, in
            `[0, 1)`. At small batches or short runs take 0.9.

    Returns:
        The model with its stages.

    Raises:
        ValueError: The name is unknown, the variant impossible, the image too
            small for the network, or a number out of range.

    Example:
        >>> staged = build(
        ...     "cbr_tiny", num_outputs=5, image_shape=(64, 64, 3)
        ... )
        >>> [stage.name for stage in staged.stages]
        ['conv1', 'conv2', 'conv3', 'conv4']
        >>> staged.model.output_shape
        (None, 5)

    Source: section 3 and appendix (models and their sizes).
    """
    model_name = variants.parse(name)
    architecture = _architecture(model_name.architecture)
    shape = _checked_shape(name, image_shape, architecture.min_image_size)
    if not isinstance(num_outputs, numbers.Integral) or num_outputs < 1:
        raise ValueError(
            "A model needs at least one output, and a whole number of them. "
            f"Received: num_outputs={num_outputs!r}. "
            "Give one for each class or finding of the task."
        )
    if not 0 <= batch_norm_momentum < 1:
        raise ValueError(
            "Batch norm momentum is the share of a moving statistic kept at a "
            f"step. Received: batch_norm_momentum={batch_norm_momentum}. "
            "Give a number in [0, 1), such as 0.99."
        )
    backbone, stages = variants.apply(
        model_name, *architecture.backbone(shape, batch_norm_momentum)
    )
    return staged_model.finish(
        name,
        model_name.architecture,
        backbone,
        stages,
        num_outputs=int(num_outputs),
        preprocessing=architecture.preprocessing,
    )


def _architecture(name: str) -> _Architecture:
    if name not in _ARCHITECTURES:
        raise ValueError(
            f"Unknown model. Received: model={name!r}. "
            f"Models are {', '.join(MODEL_NAMES)}; variants "
            f"{variants.FORMS}."
        )
    return _ARCHITECTURES[name]


def _checked_shape(
    name: str, image_shape: tuple[int, int, int], minimum: int
) -> tuple[int, int, int]:
    shape = tuple(image_shape)
    if len(shape) != 3 or not all(
        isinstance(size, numbers.Integral) for size in shape
    ):
        raise ValueError(
            "An image shape is (height, width, 3), whole pixels. "
            f"Received: image_shape={image_shape!r}."
        )
    if shape[2] != 3:
        raise ValueError(
            f"Models take three channels. Received: image_shape={shape}. "
            "Repeat a grey image's channel three times."
        )
    if min(shape[:2]) < minimum:
        raise ValueError(
            f"The image is too small for {name}: nothing would be left of it "
            f"after its strides. Received: image_shape={shape}. Give at "
            f"least {minimum} pixels a side (--image_size={minimum})."
        )
    return shape


@functools.cache
def layout(name: str) -> staged_model.Layout:
    """Returns what a model is made of, without a model to hold.

    One with a single output is built for it, once a process, and dropped.

    Args:
        name: As `build` takes it.

    Returns:
        Stages, and the variables and shapes of each layer; the head's shapes
        are those of one output.

    Raises:
        ValueError: The name is unknown.
    """
    size = _architecture(variants.parse(name).architecture).min_image_size
    staged = build(name, num_outputs=1, image_shape=(size, size, 3))
    return staged_model.layout_of(staged)


def check_name(name: str) -> None:
    """Checks a model's name without building it, its stage excepted.

    Raises:
        ValueError: There is no such model or form of variant.
    """
    _architecture(variants.parse(name).architecture)


def architecture_of(name: str) -> str:
    """Returns the architecture that a model is, or is a variant of.

    Raises:
        ValueError: The name is of no form that a variant has.

    Example:
        >>> architecture_of("resnet50:slim=block2")
        'resnet50'
    """
    return variants.parse(name).architecture


def stage_names(name: str) -> tuple[str, ...]:
    """Returns the stages of a model, in model order.

    Raises:
        ValueError: The name is unknown.

    Example:
        >>> stage_names("cbr_small")
        ('conv1', 'conv2', 'conv3', 'conv4')
    """
    return tuple(stage.name for stage in layout(name).stages)

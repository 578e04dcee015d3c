"""Variants: changes of architecture, not of values.

`resnet50:slim=block2` halves the channels of every stage after block2 (the
paper's Slim ResNet50), `resnet50:slim=block2/4` quarters them, and
`resnet50:truncate=block2` drops the stages after block2.

Source: section 5 and Figure 8 of the paper (slim); Peng et al. 2023, TTL, and
    Ke et al. 2021, CheXtransfer (truncate).
"""

import dataclasses
import re
from collections.abc import Sequence

import keras

from transfusion_tf.models import staged_model

FORMS = "MODEL:slim=STAGE, MODEL:slim=STAGE/FACTOR or MODEL:truncate=STAGE"
_VARIANT = re.compile(
    r"(?P<kind>slim|truncate)=(?P<stage>\w+)(?:/(?P<factor>[1-9]\d*))?"
)


@dataclasses.dataclass(frozen=True)
class ModelName:
    """A model's name, taken apart.

    Attributes:
        architecture: One of `models.MODEL_NAMES`.
        kind: "slim", "truncate", or "" for the architecture as it is.
        stage: The last stage that is left as it is.
        factor: Of "slim", what the channels after it are divided by.
    """

    architecture: str
    kind: str = ""
    stage: str = ""
    factor: int = 1


def parse(name: str) -> ModelName:
    """Takes a model's name apart; whether there is such a stage is not seen.

    Raises:
        ValueError: It is not of one of the forms.

    Example:
        >>> name = parse("resnet50:slim=block2")
        >>> name.architecture, name.kind, name.stage, name.factor
        ('resnet50', 'slim', 'block2', 2)
    """
    architecture, colon, variant = name.partition(":")
    if not colon:
        return ModelName(architecture)
    match = _VARIANT.fullmatch(variant)
    factor = match and match["factor"]
    if match is None or (factor and match["kind"] == "truncate"):
        raise ValueError(
            f"There is no such variant. Received: model={name!r}. A variant "
            f"is {FORMS}, for example resnet50:slim=block2."
        )
    is_slim = match["kind"] == "slim"
    return ModelName(
        architecture,
        match["kind"],
        match["stage"],
        int(factor or 2) if is_slim else 1,
    )


def apply(
    name: ModelName,
    backbone: keras.Model,
    stages: Sequence[staged_model.Stage],
) -> tuple[keras.Model, tuple[staged_model.Stage, ...]]:
    """Makes the variant of a backbone.

    Args:
        name: Which variant.
        backbone: The architecture up to its head.
        stages: Its stages.

    Returns:
        The variant's backbone and stages; layers keep their names.

    Raises:
        ValueError: There is no such stage, none comes after it, or a layer's
            channels cannot be divided.
    """
    if not name.kind:
        return backbone, tuple(stages)
    names = [stage.name for stage in stages]
    if name.stage not in names[:-1]:
        raise ValueError(
            f"A variant of {name.architecture} names a stage with others "
            f"after it. Received: {name.kind}={name.stage}. Give one of "
            f"{', '.join(names[:-1])}."
        )
    num_kept = names.index(name.stage) + 1
    if name.kind == "slim":
        changed = {n for stage in stages[num_kept:] for n in stage.layers}
        return _slim(backbone, changed, name.factor), tuple(stages)
    end = backbone.get_layer(stages[num_kept - 1].layers[-1]).output
    return keras.Model(backbone.input, end), tuple(stages[:num_kept])


def _slim(backbone: keras.Model, changed: set[str], factor: int) -> keras.Model:
    """Divides the output channels of these layers."""

    def slimmed(layer: keras.layers.Layer) -> keras.layers.Layer:
        config = layer.get_config()
        if layer.name in changed and "filters" in config:
            if config["filters"] % factor:
                raise ValueError(
                    f"The channels of a layer cannot be divided. Received: "
                    f"factor {factor}, layer {layer.name!r} of "
                    f"{config['filters']} channels. Give a factor that "
                    "divides them, such as 2."
                )
            config["filters"] //= factor
        return type(layer).from_config(config)

    inputs = keras.Input(
        backbone.input.shape[1:], name="image", dtype="float32"
    )
    return keras.models.clone_model(
        backbone, input_tensors=inputs, clone_function=slimmed
    )

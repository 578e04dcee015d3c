"""ResNet50 and Inception-v3 of `keras.applications`, with canonical names.

`keras.applications` numbers the layers of Inception-v3 through the process, so
a second instance has other names. Both models are therefore cloned, each layer
under a name that follows from its place in the network alone.
"""

from collections.abc import Mapping

import keras

from transfusion_tf.models import staged_model

# ResNet50 of Keras takes the stride at the start of a block, the TF-Slim model
# that the paper used takes it at the end of the block before: our stages end
# at twice the resolution (the last one excepted).
_RESNET50_STAGES = {
    "conv1": ("conv1", "conv1_relu"),
    "block1": ("conv2", "conv2_block3_out"),
    "block2": ("conv3", "conv3_block4_out"),
    "block3": ("conv4", "conv4_block6_out"),
    "block4": ("conv5", "conv5_block3_out"),
}
# The last of the paper's groups of Inception modules, and where each begins.
_INCEPTION_V3_STAGES = {
    "mixed0_2": range(0, 3),
    "mixed3_7": range(3, 8),
    "mixed8_10": range(8, 11),
}
_STEM_RELU = "stem_relu5"
_WORDS = {
    keras.layers.Conv2D: "conv",
    keras.layers.BatchNormalization: "bn",
    keras.layers.Activation: "relu",
    keras.layers.MaxPooling2D: "pool",
    keras.layers.AveragePooling2D: "pool",
    keras.layers.Concatenate: "concatenate",
}


def build_resnet50(
    image_shape: tuple[int, int, int], batch_norm_momentum: float
) -> tuple[keras.Model, tuple[staged_model.Stage, ...]]:
    """Builds ResNet50 up to its head.

    Args:
        image_shape: `(height, width, 3)`, pixels; at least 32 a side.
        batch_norm_momentum: Of every batch norm's moving statistics.

    Returns:
        The model, and its stages `conv1`, `block1` ... `block4`.
    """
    original = keras.applications.ResNet50(
        include_top=False, weights=None, input_shape=image_shape
    )
    names = {
        layer.name: layer.name
        for layer in original.layers
        if not isinstance(layer, keras.layers.InputLayer)
    }
    owners = {name: _resnet50_stage(name) for name in names}
    stages = tuple(
        staged_model.Stage(
            stage, tuple(n for n in names if owners[n] == stage), output
        )
        for stage, (_, output) in _RESNET50_STAGES.items()
    )
    return clone(original, names, batch_norm_momentum), stages


def _resnet50_stage(layer_name: str) -> str:
    # pool1 follows conv1 and belongs to it, as the pools of the CBRs do.
    prefix = layer_name.split("_")[0].replace("pool1", "conv1")
    for stage, (start, _) in _RESNET50_STAGES.items():
        if prefix == start:
            return stage
    raise ValueError(f"Unknown layer of ResNet50. Received: {layer_name}")


def build_inception_v3(
    image_shape: tuple[int, int, int], batch_norm_momentum: float
) -> tuple[keras.Model, tuple[staged_model.Stage, ...]]:
    """Builds Inception-v3 up to its head.

    Args:
        image_shape: `(height, width, 3)`, pixels; at least 75 a side.
        batch_norm_momentum: Of every batch norm's moving statistics.

    Returns:
        The model, and its stages `stem` (it ends at its last ReLU, before the
        pool), `mixed0_2`, `mixed3_7`, `mixed8_10`.
    """
    original = keras.applications.InceptionV3(
        include_top=False, weights=None, input_shape=image_shape
    )
    blocks = _inception_v3_blocks(original)
    names = _canonical_names(original, blocks)
    owners = {names[layer]: block for layer, block in blocks.items()}
    stages = [_inception_stage("stem", ("stem",), owners, _STEM_RELU)]
    for stage, modules in _INCEPTION_V3_STAGES.items():
        members = tuple(f"mixed{i}" for i in modules)
        stages.append(_inception_stage(stage, members, owners, members[-1]))
    return clone(original, names, batch_norm_momentum), tuple(stages)


def _inception_stage(
    name: str, blocks: tuple[str, ...], owners: Mapping[str, str], output: str
) -> staged_model.Stage:
    layers = tuple(n for n, block in owners.items() if block in blocks)
    return staged_model.Stage(name, layers, output)


def _inception_v3_blocks(model: keras.Model) -> dict[str, str]:
    """Returns `{layer name: "stem" or "mixed0" ... "mixed10"}`.

    A module's layers stand between its concatenation and the one before,
    because layers are sorted by depth. The stem ends with its second pool.
    """
    blocks, current, num_pools, module = {}, "stem", 0, 0
    for layer in model.layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        blocks[layer.name] = current
        if isinstance(layer, keras.layers.MaxPooling2D) and current == "stem":
            num_pools += 1
            if num_pools == 2:
                current = "mixed0"
        elif layer.name == current:
            module += 1
            current = f"mixed{module}"
    return blocks


def _canonical_names(
    model: keras.Model, blocks: Mapping[str, str]
) -> dict[str, str]:
    """Names each layer by its module, its kind and its place in the module.

    A batch norm and a ReLU take the number of their convolution.
    """
    names: dict[str, str] = {}
    counts: dict[tuple[str, str], int] = {}
    for layer in model.layers:
        if layer.name not in blocks:
            continue
        block, word = blocks[layer.name], _WORDS[type(layer)]
        if layer.name.startswith("mixed"):
            names[layer.name] = layer.name
        elif word in ("bn", "relu"):
            before = {"bn": "_conv", "relu": "_bn"}[word]
            parent = layer.input._keras_history.operation.name
            names[layer.name] = names[parent].replace(before, f"_{word}")
        else:
            count = counts[block, word] = counts.get((block, word), 0) + 1
            names[layer.name] = f"{block}_{word}{count}"
    return names


def clone(
    model: keras.Model,
    names: Mapping[str, str],
    batch_norm_momentum: float,
    *,
    synchronized: bool = False,
) -> keras.Model:
    """Copies a model's structure under new names.

    Args:
        model: A flat functional model with one input.
        names: New name of each layer but the input.
        batch_norm_momentum: Of every batch norm's moving statistics.
        synchronized: Whether batch norms share their batch statistics between
            replicas.

    Returns:
        A model with new variables and its own layers.
    """

    def rename(layer: keras.layers.Layer) -> keras.layers.Layer:
        config = layer.get_config()
        config["name"] = names[layer.name]
        if isinstance(layer, keras.layers.BatchNormalization):
            config["momentum"] = batch_norm_momentum
            config["synchronized"] = synchronized
        return type(layer).from_config(config)

    inputs = keras.Input(model.input.shape[1:], name="image", dtype="float32")
    return keras.models.clone_model(
        model, input_tensors=inputs, clone_function=rename
    )

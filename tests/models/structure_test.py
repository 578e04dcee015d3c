"""Names, stages and output shapes."""

import keras
import pytest

from transfusion_tf import models

CBR_WIDTHS = {
    "cbr_large_t": (32, 64, 128, 256, 512),
    "cbr_large_w": (64, 128, 256, 512),
    "cbr_small": (32, 64, 128, 256),
    "cbr_tiny": (32, 64, 128, 256),
    "cbr_tiny_as_printed": (64, 128, 256, 512),
}


def _cbr_shapes(name, size):
    # SAME convolutions keep the size; a VALID 3x3 pool of stride 2 leaves
    # floor((size - 3) / 2) + 1.
    shapes = {}
    for i, width in enumerate(CBR_WIDTHS[name]):
        shapes[f"conv{i + 1}"] = (size, size, width)
        size = (size - 3) // 2 + 1
    return shapes


def _square(**stages):
    return {name: (n, n, c) for name, (n, c) in stages.items()}


# ResNet50 at 587: 294 = ceil(587 / 2), as in the paper's appendix, and so on.
SHAPES = {
    ("resnet50", 224): _square(
        conv1=(112, 64),
        block1=(56, 256),
        block2=(28, 512),
        block3=(14, 1024),
        block4=(7, 2048),
    ),
    ("resnet50", 587): _square(
        conv1=(294, 64),
        block1=(147, 256),
        block2=(74, 512),
        block3=(37, 1024),
        block4=(19, 2048),
    ),
    ("inception_v3", 224): _square(
        stem=(52, 192),
        mixed0_2=(25, 288),
        mixed3_7=(12, 768),
        mixed8_10=(5, 2048),
    ),
    ("inception_v3", 587): _square(
        stem=(143, 192),
        mixed0_2=(71, 288),
        mixed3_7=(35, 768),
        mixed8_10=(17, 2048),
    ),
    ("efficientnet_lite0", 224): _square(
        stem=(112, 32),
        block1=(112, 16),
        block2=(56, 24),
        block3=(28, 40),
        block4=(14, 80),
        block5=(14, 112),
        block6=(7, 192),
        block7=(7, 320),
        top=(7, 1280),
    ),
    ("efficientnet_lite0", 587): _square(
        stem=(294, 32),
        block1=(294, 16),
        block2=(147, 24),
        block3=(74, 40),
        block4=(37, 80),
        block5=(37, 112),
        block6=(19, 192),
        block7=(19, 320),
        top=(19, 1280),
    ),
    # Deeper, and Lite2 wider by a tenth, in multiples of 8.
    ("efficientnet_lite2", 224): _square(
        stem=(112, 32),
        block1=(112, 16),
        block2=(56, 24),
        block3=(28, 48),
        block4=(14, 88),
        block5=(14, 120),
        block6=(7, 208),
        block7=(7, 352),
        top=(7, 1280),
    ),
    **{
        (name, size): _cbr_shapes(name, size)
        for name in CBR_WIDTHS
        for size in (224, 587)
    },
}


def test_there_are_the_six_models_of_the_paper_and_four_more():
    assert models.MODEL_NAMES == (
        "resnet50",
        "inception_v3",
        "cbr_large_t",
        "cbr_large_w",
        "cbr_small",
        "cbr_tiny",
        "cbr_tiny_as_printed",
        "efficientnet_lite0",
        "efficientnet_lite1",
        "efficientnet_lite2",
    )


@pytest.mark.parametrize(("name", "size"), SHAPES)
def test_stages_end_with_the_shapes_of_the_architecture(built, name, size):
    features = built(name, size).feature_model()
    shapes = {stage: x.shape[1:] for stage, x in features.output.items()}
    assert shapes == SHAPES[name, size]


@pytest.mark.parametrize("name", models.MODEL_NAMES)
def test_stage_names_are_those_of_a_built_model(built, name):
    stages = tuple(stage.name for stage in built(name).stages)
    assert models.stage_names(name) == stages


@pytest.mark.parametrize("name", models.MODEL_NAMES)
def test_stages_and_head_share_out_the_layers_in_model_order(built, name):
    staged = built(name)
    order = [layer.name for layer in staged.model.layers][1:]
    members = [layer for stage in staged.stages for layer in stage.layers]
    assert sorted([*members, *staged.head]) == sorted(order)
    assert [*members, *staged.head] == sorted(
        [*members, *staged.head], key=order.index
    )


@pytest.mark.parametrize("name", models.MODEL_NAMES)
def test_a_stage_holds_the_layer_that_ends_it(built, name):
    for stage in built(name).stages:
        assert stage.output in stage.layers


@pytest.mark.parametrize("name", models.MODEL_NAMES)
def test_the_model_is_flat_and_gives_float32_logits(built, name):
    model = built(name).model
    assert not any(isinstance(x, keras.Model) for x in model.layers)
    assert model.input.dtype == model.output.dtype == "float32"
    assert model.output.shape == (None, 5)


@pytest.mark.parametrize("name", models.MODEL_NAMES)
def test_variable_keys_are_equal_for_two_instances(built, name):
    # The second instance of Inception-v3 in a process has other names in
    # keras.applications.
    layout = [
        f"{layer.name}/{variable}"
        for layer in models.layout(name).layers
        for variable in layer.shapes
    ]
    keys = list(built(name).variables())
    assert keys == layout
    assert len(set(keys)) == len(built(name).model.weights)


def test_inception_names_follow_from_the_module_alone(built):
    layers = [layer.name for layer in built("inception_v3").model.layers]
    convolutions = [x for x in layers if "_conv" in x]
    assert len(convolutions) == 94
    assert [x.replace("_conv", "_bn") in layers for x in convolutions] == (
        [True] * 94
    )
    assert [x.replace("_conv", "_relu") in layers for x in convolutions] == (
        [True] * 94
    )


@pytest.mark.parametrize("name", ["cbr_tiny", "inception_v3", "resnet50"])
def test_no_batch_norm_keeps_another_momentum(name):
    staged = models.build(
        name,
        num_outputs=2,
        image_shape=(75, 75, 3),
        batch_norm_momentum=0.9,
    )
    momenta = {
        layer.momentum
        for layer in staged.model.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    }
    assert momenta == {0.9}


def test_resnet50_keeps_the_batch_norm_epsilon_of_its_weights(built):
    assert built("resnet50").model.get_layer("conv1_bn").epsilon == 1.001e-5


def test_a_cbr_network_takes_32_pixels(built):
    features = built("cbr_tiny", 32).feature_model()
    sizes = [x.shape[1] for x in features.output.values()]
    assert sizes == [32, 15, 7, 3]


def test_each_model_says_how_its_images_are_normalised(built):
    modes = {name: built(name).preprocessing for name in models.MODEL_NAMES}
    assert modes.pop("resnet50") == "caffe"
    assert modes.pop("inception_v3") == "tf"
    for number in range(3):
        assert modes.pop(f"efficientnet_lite{number}") == "lite"
    assert set(modes.values()) == {"torch"}


def test_stage_of_finds_stage_and_head(built):
    staged = built("inception_v3")
    assert staged.stage_of("stem_pool2") == "stem"
    assert staged.stage_of("mixed3") == "mixed3_7"
    assert staged.stage_of("mixed8_conv1") == "mixed8_10"
    assert staged.stage_of("head") == "head"
    assert staged.stage("stem").output == "stem_relu5"

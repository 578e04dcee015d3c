import math

import pytest

from transfusion_tf import models


def trainable(staged: models.StagedModel) -> int:
    """Trainable parameters without the head's."""
    return sum(
        math.prod(variable.shape)
        for key, variable in staged.variables().items()
        if variable.trainable and not key.startswith("head/")
    )


def build(name: str, size: int = 96) -> models.StagedModel:
    return models.build(name, num_outputs=5, image_shape=(size, size, 3))


def test_slim_resnet50_has_the_counts_made_by_hand():
    staged = build("resnet50:slim=block2")
    # Halved widths of block3 and block4, with the biases of Keras'
    # convolutions, of which 15,808 are left; without them 7,135,296.
    assert trainable(staged) == 7_151_104
    biases = sum(
        math.prod(v.shape)
        for k, v in staged.variables().items()
        if k.endswith("/bias") and not k.startswith("head/")
    )
    assert trainable(staged) - biases == 7_135_296
    widths = {
        stage.name: staged.model.get_layer(stage.output).output.shape[-1]
        for stage in staged.stages
    }
    assert widths == {
        "conv1": 64,
        "block1": 256,
        "block2": 512,
        "block3": 512,
        "block4": 1024,
    }


def test_truncated_resnet50_has_what_its_first_stages_have():
    whole, cut = build("resnet50"), build("resnet50:truncate=block2")
    kept = {
        key: tuple(v.shape)
        for key, v in whole.variables().items()
        if whole.stage_of(key.rpartition("/")[0])
        in ("conv1", "block1", "block2")
    }
    shapes = {k: tuple(v.shape) for k, v in cut.variables().items()}
    head = {k: shapes.pop(k) for k in ("head/kernel", "head/bias")}
    assert shapes == kept
    assert head["head/kernel"] == (512, 5)


@pytest.mark.parametrize(
    ("name", "kept", "widths"),
    [
        ("cbr_tiny:slim=conv2", 2, [32, 64, 64, 128]),
        ("cbr_tiny:slim=conv1/4", 1, [32, 16, 32, 64]),
        ("cbr_tiny:truncate=conv3", 3, [32, 64, 128]),
    ],
)
def test_widths_of_a_variant(name, kept, widths):
    staged = build(name, size=32)
    kernels = [
        v.shape[-1] for k, v in staged.variables().items() if "conv/kernel" in k
    ]
    assert kernels == widths
    features = staged.feature_model().output
    assert [x.shape[-1] for x in features.values()] == widths
    assert staged.architecture == "cbr_tiny"
    assert staged.name == name
    assert models.stage_names(name) == tuple(s.name for s in staged.stages)
    base = models.stage_names("cbr_tiny")
    assert models.stage_names(name)[:kept] == base[:kept]


@pytest.mark.parametrize(
    "name",
    [
        "efficientnet_lite0:slim=block3",
        "efficientnet_lite0:truncate=block4",
        "inception_v3:slim=mixed0_2",
        "inception_v3:truncate=stem",
    ],
)
def test_every_architecture_has_variants(name):
    staged = build(name)
    assert staged.model.output_shape == (None, 5)
    base = build(models.architecture_of(name))
    assert trainable(staged) < trainable(base)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "cbr_tiny:slim=conv4",
            r"others after it.*slim=conv4.*conv1, conv2, c",
        ),
        ("cbr_tiny:truncate=block1", r"truncate=block1.*conv1"),
        ("cbr_tiny:thin=conv1", r"no such variant.*MODEL:slim=STAGE"),
        ("cbr_tiny:truncate=conv1/2", r"no such variant"),
        ("cbr_tiny:slim=conv1/7", r"factor 7, layer 'conv2_conv' of 64"),
        ("vgg:slim=conv1", r"Unknown model.*model='vgg'"),
    ],
)
def test_an_impossible_variant_says_what_would_be_right(name, message):
    with pytest.raises(ValueError, match=message):
        build(name, size=32)

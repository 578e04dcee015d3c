"""What a built model does, what it survives and what it refuses."""

import keras
import numpy as np
import pytest

from transfusion_tf import models

SMALL = ["cbr_tiny", "efficientnet_lite0"]


@pytest.fixture
def float_policy():
    before = keras.mixed_precision.dtype_policy()
    yield keras.mixed_precision.set_dtype_policy
    keras.mixed_precision.set_dtype_policy(before)


def _images(count=2, size=32):
    generator = np.random.default_rng(0)
    return generator.normal(size=(count, size, size, 3)).astype("float32")


@pytest.mark.parametrize("name", SMALL)
def test_weights_survive_a_file(tmp_path, name):
    first, second = (
        models.build(name, num_outputs=3, image_shape=(32, 32, 3))
        for _ in range(2)
    )
    before = first.model(_images()).numpy()
    assert not np.array_equal(second.model(_images()).numpy(), before)
    first.model.save_weights(tmp_path / "x.weights.h5")
    second.model.load_weights(tmp_path / "x.weights.h5")
    np.testing.assert_array_equal(second.model(_images()).numpy(), before)


@pytest.mark.parametrize("name", SMALL)
def test_a_model_survives_a_keras_file(tmp_path, name):
    staged = models.build(name, num_outputs=3, image_shape=(32, 32, 3))
    staged.model.save(tmp_path / "x.keras")
    loaded = keras.models.load_model(tmp_path / "x.keras")
    np.testing.assert_array_equal(
        loaded(_images()).numpy(), staged.model(_images()).numpy()
    )
    assert [x.name for x in loaded.layers] == [
        x.name for x in staged.model.layers
    ]


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("name", [*SMALL, "resnet50"])
def test_logits_are_float32_under_every_policy(float_policy, name, policy):
    float_policy(policy)
    staged = models.build(name, num_outputs=3, image_shape=(32, 32, 3))
    features = staged.feature_model()
    compute = "bfloat16" if policy == "mixed_bfloat16" else "float32"
    assert {x.dtype for x in features.output.values()} == {compute}
    assert {x.dtype for x in staged.variables().values()} == {"float32"}
    logits = staged.model(_images())
    assert logits.dtype == "float32"
    assert np.isfinite(logits).all()


def test_a_cbr_stage_is_convolution_batch_norm_and_relu():
    staged = models.build("cbr_tiny", num_outputs=2, image_shape=(32, 32, 3))
    variables = staged.variables()
    variables["conv1_bn/beta"].assign(np.linspace(-1, 1, 32))
    kernel = variables["conv1_conv/kernel"].numpy()
    images = _images(1)
    padded = np.pad(images[0], ((2, 2), (2, 2), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5, 3))
    convolved = np.tensordot(windows[:, :, 0], kernel, 3)
    expected = convolved / np.sqrt(1 + 1e-3) + np.linspace(-1, 1, 32)
    expected = np.maximum(expected, 0)
    first = staged.feature_model()(images)["conv1"].numpy()[0]
    np.testing.assert_allclose(first, expected, atol=1e-5)


def test_the_feature_model_shares_the_variables():
    staged = models.build("cbr_tiny", num_outputs=2, image_shape=(32, 32, 3))
    features = staged.feature_model()
    before = features(_images())["conv1"].numpy()
    staged.variables()["conv1_conv/kernel"].assign(np.zeros((5, 5, 3, 32)))
    assert before.any()
    assert not features(_images())["conv1"].numpy().any()


def test_lite0_has_no_dropout():
    staged = models.build(
        "efficientnet_lite0", num_outputs=2, image_shape=(32, 32, 3)
    )
    assert not [
        x for x in staged.model.layers if isinstance(x, keras.layers.Dropout)
    ]


def _build(name="cbr_tiny", num_outputs=5, image_shape=(32, 32, 3), **others):
    return models.build(
        name, num_outputs=num_outputs, image_shape=image_shape, **others
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "resnet18"}, r"Received: model='resnet18'.*resnet50, incep"),
        ({"num_outputs": 0}, r"at least one output.*num_outputs=0"),
        ({"num_outputs": 2.5}, r"whole number.*num_outputs=2.5"),
        ({"num_outputs": "five"}, r"whole number.*num_outputs='five'"),
        ({"image_shape": (32, 32, 1)}, r"three channels.*\(32, 32, 1\)"),
        ({"image_shape": (32, 32)}, r"\(height, width, 3\).*\(32, 32\)"),
        ({"image_shape": (None, None, 3)}, r"whole pixels.*None"),
        ({"image_shape": (30, 64, 3)}, r"too small for cbr_tiny.*least 31"),
        (
            {"name": "inception_v3", "image_shape": (74, 74, 3)},
            r"too small for inception_v3.*--image_size=75",
        ),
        (
            {"name": "resnet50", "image_shape": (31, 31, 3)},
            r"too small for resnet50.*--image_size=32",
        ),
        (
            {"name": "efficientnet_lite0", "image_shape": (16, 16, 3)},
            r"too small for efficientnet_lite0.*at least 32",
        ),
        ({"batch_norm_momentum": 1.0}, r"momentum.*=1\.0.*\[0, 1\)"),
    ],
)
def test_a_wrong_argument_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        _build(**arguments)


def test_the_smallest_images_are_taken():
    for name in models.MODEL_NAMES:
        # Builds the model on the smallest image that it admits.
        assert models.layout(name).layers


def test_numpy_integers_are_whole_numbers():
    shape = tuple(np.array([32, 32, 3]))
    assert _build(num_outputs=np.int64(2), image_shape=shape).model


def test_an_unknown_stage_or_layer_is_named():
    staged = _build()
    with pytest.raises(ValueError, match=r"stage='block1'.*conv1, conv2"):
        staged.stage("block1")
    with pytest.raises(ValueError, match=r"layer_name='conv9'.*summary"):
        staged.stage_of("conv9")
    with pytest.raises(ValueError, match=r"Received: model='vgg'"):
        models.stage_names("vgg")

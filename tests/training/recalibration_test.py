import numpy as np
import pytest
import tensorflow as tf

from transfusion_tf import data, initialization, training


@pytest.fixture(scope="module")
def program(trainer, folder_config):
    run_data = trainer.data(folder_config)
    return trainer.program(folder_config, run_data)


@pytest.fixture
def run_data(trainer, folder_config):
    return trainer.data(folder_config)


def test_recalibration_gives_the_moments_of_the_layers_inputs(
    program, run_data
):
    staged = program.staged
    initialization.initialize(staged, "random", seed=1)
    momenta = [
        layer.momentum for layer in staged.model.layers if "bn" in layer.name
    ]
    program.recalibrate_batch_norm(run_data.train, num_images=16)
    kernel = next(
        v.numpy() for k, v in staged.variables().items() if "kernel" in k
    )
    means, variances = [], []
    for batch in run_data.train.evaluation_batches(8).take(2):
        images = data.normalize(batch["image"], "torch")
        outputs = tf.nn.conv2d(images, kernel, 1, "SAME").numpy()
        means.append(outputs.mean((0, 1, 2)))
        variances.append(outputs.var((0, 1, 2)))
    first_norm = next(
        layer for layer in staged.model.layers if hasattr(layer, "moving_mean")
    )
    np.testing.assert_allclose(
        first_norm.moving_mean, np.mean(means, 0), atol=1e-3
    )
    np.testing.assert_allclose(
        first_norm.moving_variance, np.mean(variances, 0), rtol=1e-3
    )
    after = [
        layer.momentum for layer in staged.model.layers if "bn" in layer.name
    ]
    assert after == momenta


def test_only_the_stages_asked_for_are_set_frozen_or_not(program, run_data):
    staged = program.staged
    initialization.initialize(staged, "random", seed=1)
    norms = {
        name: staged.model.get_layer(f"{name}_bn")
        for name in ("conv1", "conv2", "conv3")
    }
    norms["conv2"].trainable = False
    try:
        program.recalibrate_batch_norm(
            run_data.train, num_images=8, stages=["conv1", "conv2"]
        )
        assert not norms["conv2"].trainable
    finally:
        norms["conv2"].trainable = True
    for name, norm in norms.items():
        is_set = bool((norm.moving_mean.numpy() != 0).any())
        assert is_set == (name != "conv3")


def test_a_stop_is_heeded_between_two_batches(program, run_data, monkeypatch):
    momenta = [
        layer.momentum
        for layer in program.staged.model.layers
        if "bn" in layer.name
    ]
    request = training.StopRequest()
    request.set()
    monkeypatch.setattr(program, "stop_request", request)
    with pytest.raises(training.Interrupted, match="Repeat the same command"):
        program.recalibrate_batch_norm(run_data.train, num_images=16)
    assert momenta == [
        layer.momentum
        for layer in program.staged.model.layers
        if "bn" in layer.name
    ]

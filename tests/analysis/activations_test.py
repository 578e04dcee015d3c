import numpy as np
import pytest

from transfusion_tf import analysis, data, initialization


@pytest.fixture(scope="module")
def program(trainer, folder_config):
    run_data = trainer.data(folder_config)
    program = trainer.program(folder_config, run_data)
    initialization.initialize(program.staged, "random", seed=0)
    return program


@pytest.fixture
def run_data(trainer, folder_config):
    return trainer.data(folder_config)


def test_stages_are_captured_as_the_feature_model_gives_them(program, run_data):
    capture = analysis.StageActivations(program.staged, "torch")
    received = capture(run_data.test, num_images=10, batch_size=8)
    (batch,) = run_data.test.evaluation_batches(14)
    images = data.normalize(batch["image"], "torch")
    expected = program.staged.feature_model()(images[:10], training=False)
    assert list(received) == [s.name for s in program.staged.stages]
    for name, values in expected.items():
        flat = values.numpy().reshape(10, -1, 1, values.shape[-1])
        np.testing.assert_allclose(received[name], flat, atol=1e-4)


def test_more_images_than_there_are_gives_all_and_no_padding(program, run_data):
    capture = analysis.StageActivations(program.staged, "torch")
    received = capture(run_data.test, num_images=99, batch_size=8)
    assert {len(values) for values in received.values()} == {14}


def test_of_a_large_grid_the_same_positions_of_every_image_are_kept(
    program, run_data, monkeypatch
):
    whole = analysis.StageActivations(program.staged, "torch")(
        run_data.test, num_images=4, batch_size=4
    )["conv1"]
    monkeypatch.setattr(
        "transfusion_tf.analysis.activations.MAX_GRID_POSITIONS", 50
    )
    part = analysis.StageActivations(program.staged, "torch")(
        run_data.test, num_images=4, batch_size=4
    )["conv1"]
    assert part.shape == (4, 50, 1, 32)
    rows = {tuple(row): place for place, row in enumerate(whole[0, :, 0])}
    places = [rows[tuple(row)] for row in part[0, :, 0]]
    assert len(set(places)) == 50
    np.testing.assert_array_equal(part, whole[:, places])


def test_recalibration_gives_the_moments_of_the_layers_inputs(
    program, run_data
):
    staged = program.staged
    initialization.initialize(staged, "random", seed=1)
    capture = analysis.StageActivations(staged, "torch")
    momenta = [
        layer.momentum for layer in staged.model.layers if "bn" in layer.name
    ]
    capture.recalibrate_batch_norm(run_data.train, num_images=16, batch_size=8)
    kernel = next(
        v.numpy() for k, v in staged.variables().items() if "kernel" in k
    )
    import tensorflow as tf

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

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
    capture = analysis.StageActivations(program)
    received = capture(run_data.test, num_images=10)
    (batch,) = run_data.test.evaluation_batches(14)
    images = data.normalize(batch["image"], "torch")
    expected = program.staged.feature_model()(images[:10], training=False)
    assert list(received) == [s.name for s in program.staged.stages]
    for name, values in expected.items():
        flat = values.numpy().reshape(10, -1, 1, values.shape[-1])
        np.testing.assert_allclose(received[name], flat, atol=1e-4)


def test_more_images_than_there_are_gives_all_and_no_padding(program, run_data):
    capture = analysis.StageActivations(program)
    received = capture(run_data.test, num_images=99)
    assert {len(values) for values in received.values()} == {14}


def test_of_a_large_grid_the_same_positions_of_every_image_are_kept(
    program, run_data, monkeypatch
):
    whole = analysis.StageActivations(program)(run_data.test, num_images=4)[
        "conv1"
    ]
    monkeypatch.setattr(
        "transfusion_tf.analysis.activations.MAX_GRID_POSITIONS", 50
    )
    part = analysis.StageActivations(program)(run_data.test, num_images=4)[
        "conv1"
    ]
    assert part.shape == (4, 50, 1, 32)
    rows = {tuple(row): place for place, row in enumerate(whole[0, :, 0])}
    places = [rows[tuple(row)] for row in part[0, :, 0]]
    assert len(set(places)) == 50
    np.testing.assert_array_equal(part, whole[:, places])


def test_means_of_stages_are_those_of_the_positions(program, run_data):
    means = program.stage_means(run_data.test, 10)
    capture = analysis.StageActivations(program)
    grids = capture(run_data.test, num_images=10)
    assert list(means) == list(grids)
    for name, grid in grids.items():
        expected = grid.mean(axis=(1, 2))
        np.testing.assert_allclose(means[name], expected, atol=1e-5)

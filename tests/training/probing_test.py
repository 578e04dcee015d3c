import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests import comparing
from tests.tensorboard.writer_test import read
from tests.training.trainer_test import trainer_that_stops
from transfusion_tf import records, similarity, training
from transfusion_tf.tensorboard import schema
from transfusion_tf.training import probing


@pytest.fixture(scope="module")
def config(folder_config):
    return dataclasses.replace(
        folder_config,
        similarity_every_steps=2,
        probe_examples=9,
        learning_rate=0.05,
    )


@pytest.fixture(scope="module")
def probed(trainer, config, tmp_path_factory):
    path = tmp_path_factory.mktemp("probed") / "run"
    trainer.train(config, path)
    return records.RunDirectory(path)


def rows_of(run, split):
    return [row for row in run.metrics() if row["split"] == split]


def assert_same_training(path, other):
    """All but the probe's own records is the same, to the bit."""
    run, expected = records.RunDirectory(path), records.RunDirectory(other)
    for name in ("validation", "test"):
        ours, theirs = (
            records.read_npz(side.predictions_path(name))
            for side in (run, expected)
        )
        np.testing.assert_array_equal(ours["score"], theirs["score"])
    for split in ("train", "validation"):
        ours, theirs = (
            comparing._without_times(rows_of(side, split))
            for side in (run, expected)
        )
        assert ours == theirs
    for step in (0, run.result()["num_steps"]):
        ours, theirs = (
            comparing._h5_arrays(side.weights_path(step))
            for side in (run, expected)
        )
        assert ours.keys() == theirs.keys()
        for key, array in theirs.items():
            np.testing.assert_array_equal(ours[key], array, err_msg=key)


def test_not_a_bit_of_the_training_changes(
    trainer, folder_config, probed, tmp_path
):
    config = dataclasses.replace(folder_config, learning_rate=0.05)
    trainer.train(config, tmp_path / "run")
    assert_same_training(probed.path, tmp_path / "run")


def test_a_stopped_run_goes_on_with_the_same_scores(
    trainer, config, probed, tmp_path
):
    path = tmp_path / "run"
    for stop in (3, 4):
        stopping, _ = trainer_that_stops(trainer, stop)
        with pytest.raises(training.Interrupted):
            stopping.train(config, path)
    trainer.train(config, path)
    comparing.assert_same_run(path, probed.path)


def test_a_resumed_run_takes_step_0_from_its_file(
    trainer, config, probed, tmp_path, monkeypatch
):
    stopping, _ = trainer_that_stops(trainer, 3)
    with pytest.raises(training.Interrupted):
        stopping.train(config, tmp_path / "run")
    # As where a donor is another one by now: the network starts elsewhere.
    monkeypatch.setattr(
        training.loop.initialization, "initialize", lambda *_, **__: []
    )
    trainer.train(config, tmp_path / "run")
    comparing.assert_same_run(tmp_path / "run", probed.path)


def test_scores_are_those_of_the_kept_weights(trainer, config, probed):
    run_data = trainer.data(config)
    program = trainer.program(config, run_data)
    features = program.staged.feature_model()
    sides = []
    last = probed.result()["num_steps"]
    for step in (0, last):
        program.staged.model.load_weights(str(probed.weights_path(step)))
        if step == 0:
            program.recalibrate_batch_norm(run_data.train, num_images=9)
        means: dict[str, list] = {}
        for batch in run_data.validation.evaluation_batches(1).take(9):
            images = training.program.data.normalize(
                batch["image"], program.preprocessing
            )
            for name, values in features(images, training=False).items():
                means.setdefault(name, []).append(values.numpy().mean((1, 2)))
        sides.append({k: np.concatenate(v) for k, v in means.items()})
    row = rows_of(probed, "probe")[-1]
    assert row["step"] == last
    assert list(row["similarity"]) == [s.name for s in program.staged.stages]
    for name, score in row["similarity"].items():
        expected = similarity.cka(sides[0][name], sides[1][name]).score
        assert score == pytest.approx(expected, abs=1e-5)
    assert min(row["similarity"].values()) < 0.995
    for i, start in enumerate(sides[0].values()):
        for j, now in enumerate(sides[1].values()):
            expected = similarity.cka(start, now).score
            assert row["matrix"][i][j] == pytest.approx(expected, abs=1e-5)


def test_the_diagonal_is_each_stage_with_itself_and_1_at_step_0(probed):
    rows = rows_of(probed, "probe")
    for row in rows:
        diagonal = np.diag(row["matrix"])
        assert diagonal.tolist() == list(row["similarity"].values())
    start = np.array(rows[0]["matrix"])
    np.testing.assert_allclose(np.diag(start), 1.0, atol=1e-12)
    np.testing.assert_allclose(start, start.T, atol=1e-12)
    assert start.min() < 0.999


def test_the_records_say_when_what_and_how_long(probed, config):
    last = probed.result()["num_steps"]
    rows = rows_of(probed, "probe")
    expected = sorted({*range(0, last + 1, 2), last})
    assert [row["step"] for row in rows] == expected
    spent = [row["similarity_seconds"] for row in rows]
    assert spent == sorted(spent) and spent[0] > 0
    assert probed.result()["seconds"]["similarity"] == spent[-1]
    assert probed.config()["probe"] == {
        "split": "validation",
        "num_images": 9,
        "measure": "debiased cka",
        "spatial": "average",
        "batch_norm": "recalibrated at step 0, moving statistics after",
    }


def test_tensorboard_shows_what_the_records_hold(probed):
    found = read(probed.path)
    written = {
        (tag, event.step): tf.make_ndarray(event.tensor_proto)
        for tag in found.Tags()["tensors"]
        for event in found.Tensors(tag)
    }
    rows = rows_of(probed, "probe")
    assert rows
    for row in rows:
        step, matrix = row["step"], np.float32(row["matrix"])
        kept = "before_after/averaged_cka"
        values, null = written[f"transfusion/similarity/{kept}", step]
        np.testing.assert_array_equal(values, matrix)
        assert not null.any()
        values, _ = written[f"transfusion/profile/{kept}", step]
        np.testing.assert_array_equal(values, np.diag(matrix))
        for stage, score in row["similarity"].items():
            assert written[f"similarity/{stage}", step] == np.float32(score)
    content = found.SummaryMetadata(f"transfusion/similarity/{kept}")
    content = schema.decode(content.plugin_data.content)
    assert content["rows"]["layers"] == list(rows[0]["similarity"])
    assert content["num_images"] == 9
    assert "9 validation images" in content["what"]


def test_a_resumed_run_writes_no_step_twice_and_leaves_none_out(
    trainer, config, probed, tmp_path
):
    # It stops behind a checkpoint, and so has nothing to write again.
    stopping, _ = trainer_that_stops(trainer, 4)
    with pytest.raises(training.Interrupted):
        stopping.train(config, tmp_path / "run")
    trainer.train(config, tmp_path / "run")
    assert len(list((tmp_path / "run").glob("events.*"))) == 2
    found, expected = read(tmp_path / "run"), read(probed.path)
    tags = expected.Tags()["tensors"]
    assert sorted(found.Tags()["tensors"]) == sorted(tags)
    for tag in tags:
        steps, wanted = (
            [event.step for event in side.Tensors(tag)]
            for side in (found, expected)
        )
        assert steps == wanted, tag


def test_a_run_that_is_not_probed_has_no_row_and_no_cost(
    trainer, folder_config, tmp_path
):
    config = dataclasses.replace(folder_config, num_steps=2)
    result = trainer.train(config, tmp_path / "run")
    assert list(result["seconds"]) == ["train"]
    assert not rows_of(records.RunDirectory(tmp_path / "run"), "probe")


def test_probes_before_the_first_evaluation_and_early_stopping_agree(
    trainer, config, tmp_path
):
    config = dataclasses.replace(
        config, similarity_every_steps=1, early_stopping=1, num_epochs=20
    )
    trainer.train(config, tmp_path / "run")
    run = records.RunDirectory(tmp_path / "run")
    assert [row["step"] for row in rows_of(run, "probe")][:2] == [0, 1]
    assert rows_of(run, "validation")[0]["step"] == 3


def test_the_probe_is_the_whole_split_where_that_is_smaller(trainer, config):
    run_data = trainer.data(config)
    probe = probing.StageProbe(
        trainer.program(config, run_data),
        run_data.train,
        run_data.validation,
        num_examples=10_000,
    )
    assert probe.num_images == run_data.validation.split.num_examples


def test_too_few_images_are_refused_before_the_first_step(trainer, config):
    run_data = trainer.data(config)
    with pytest.raises(ValueError, match="Received: 3 of split 'validation'"):
        probing.StageProbe(
            trainer.program(config, run_data),
            run_data.train,
            run_data.validation,
            num_examples=3,
        )


def test_an_undefined_score_is_none(trainer, config):
    run_data = trainer.data(config)
    probe = probing.StageProbe(
        trainer.program(config, run_data),
        run_data.train,
        run_data.validation,
        num_examples=9,
    )
    values = np.random.default_rng(0).normal(size=[20, 3])
    probe._start = {"conv1": values, "conv2": values, "conv3": values}
    now = {"conv3": 2 * values, "conv2": values * np.nan, "conv1": 0 * values}
    scores = probe._scores(now)
    assert scores["similarity"] == {
        "conv1": None,
        "conv2": None,
        "conv3": pytest.approx(1.0),
    }
    assert scores["matrix"][0] == [None, None, pytest.approx(1.0)]

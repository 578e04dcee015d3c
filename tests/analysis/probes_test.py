"""Tools on finished runs, against what can be worked out otherwise."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from tests.launch import running
from transfusion_tf import analysis, data, records


@pytest.fixture(scope="module")
def runs(trainer, folder_config, tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    for seed in (0, 1):
        config = dataclasses.replace(
            folder_config, seed=seed, num_steps=6, learning_rate=0.01
        )
        trainer.train(config, root / str(seed))
    return [records.RunDirectory(root / str(seed)) for seed in (0, 1)]


@pytest.fixture
def network(runs, trainer):
    return analysis.Network(runs[0], trainer)


def test_weights_move_as_their_difference_says(runs, network):
    first, last = (analysis.Checkpoint(runs[0], step) for step in (0, 6))
    before, after = network.weights(first), network.weights(last)
    moved = analysis.weight_movement(network, first, last)
    keys = [key for key in before if "moving" not in key]
    assert [m.variable for m in moved] == keys
    by_key = {m.variable: m for m in moved}
    for key in ("conv2_conv/kernel", "conv3_bn/gamma"):
        squares = ((after[key].astype(float) - before[key]) ** 2).sum()
        movement = by_key[key]
        assert movement.distance == pytest.approx(np.sqrt(squares), rel=1e-6)
        size = np.sqrt((before[key].astype(float) ** 2).sum())
        assert movement.relative == pytest.approx(movement.distance / size)
    assert by_key["conv2_conv/kernel"].stage == "conv2"
    # A shift begins at zero: of nothing there is no share.
    assert by_key["conv2_bn/beta"].distance > 0
    assert by_key["conv2_bn/beta"].relative is None
    still = analysis.weight_movement(network, last, last)
    assert {(m.distance, m.relative) for m in still} == {(0.0, 0.0)}


def test_a_network_as_trained_scores_as_its_run_did(runs, network):
    expected = runs[0].result()["test"]["accuracy"]
    for mode in ("initial", "random"):
        resets = analysis.reinitialize_stages(network, mode=mode)
        assert [r.stage for r in resets] == [
            "", "conv1", "conv2", "conv3", "conv4"
        ]  # fmt: skip
        assert resets[0].score == pytest.approx(expected)


def test_a_stage_is_reset_alone_and_to_what_it_was(runs, network, monkeypatch):
    seen = []
    monkeypatch.setattr(
        analysis.Network,
        "score",
        lambda self, weights, split: seen.append(weights) or {"accuracy": 0.5},
    )
    first, last = (
        network.weights(analysis.Checkpoint(runs[0], s)) for s in (0, 6)
    )
    analysis.reinitialize_stages(network, mode="initial")
    analysis.reinitialize_stages(network, mode="random")
    initial, drawn = seen[:5], seen[5:]
    for place, stage in enumerate(network.stage_names, start=1):
        for key, value in last.items():
            is_reset = network.stage_of(key) == stage
            expected = first[key] if is_reset else value
            np.testing.assert_array_equal(initial[place][key], expected)
            if not is_reset:
                np.testing.assert_array_equal(drawn[place][key], value)
        kernel = f"{stage}_conv/kernel"
        assert not np.array_equal(drawn[place][kernel], first[kernel])
        assert not np.array_equal(drawn[place][kernel], last[kernel])


def test_the_ends_of_the_line_are_the_two_runs(runs, network):
    ends = [analysis.Checkpoint(run, 6) for run in runs]
    points = analysis.interpolate(network, *ends, num_points=3)
    assert [point.weight for point in points] == [0.0, 0.5, 1.0]
    # Both runs are tested on the same images.
    for place, run in ((0, runs[0]), (2, runs[1])):
        expected = run.result()["test"]["accuracy"]
        assert points[place].score == pytest.approx(expected)


def test_the_line_goes_from_the_first_to_the_second(runs, network, monkeypatch):
    seen = []
    monkeypatch.setattr(
        analysis.Network,
        "score",
        lambda self, weights, split: seen.append(weights) or {"accuracy": 0.5},
    )
    ends = [analysis.Checkpoint(run, 6) for run in runs]
    one, two = (network.weights(end) for end in ends)
    analysis.interpolate(network, *ends, num_points=3)
    for key, value in seen[1].items():
        np.testing.assert_array_equal(seen[0][key], one[key])
        np.testing.assert_array_equal(seen[2][key], two[key])
        np.testing.assert_allclose(
            value, (one[key] + two[key]) / 2, rtol=1e-5, atol=1e-7
        )


def test_an_image_whose_block_is_itself_scores_as_its_run_did(runs, network):
    scores = analysis.score_shuffled_blocks(network, block_sizes=[32])
    expected = runs[0].result()["test"]["accuracy"]
    assert scores[0].score == pytest.approx(expected)


def test_blocks_are_halved_to_one_pixel_and_reach_the_network(
    network, monkeypatch
):
    seen = []
    batch = {
        "image": tf.random.stateless_uniform([2, 32, 32, 3], [1, 2]),
        "example_id": tf.constant([5, 6], tf.int64),
    }
    monkeypatch.setattr(
        analysis.Network,
        "score",
        lambda self, weights, split, change: (
            seen.append(change(batch)["image"].numpy()) or {"accuracy": 0.5}
        ),
    )
    scores = analysis.score_shuffled_blocks(network)
    assert [s.block_size for s in scores] == [32, 16, 8, 4, 2, 1]
    for score, images in zip(scores, seen, strict=True):
        expected = analysis.shuffle_blocks(
            batch["image"], [5, 6], block_size=score.block_size
        )
        np.testing.assert_array_equal(images, expected)


def test_a_change_of_the_images_is_what_is_scored(network):
    reader = network.data.reader("test")
    ids, logits = network.program.predict(
        reader, lambda b: b | {"image": tf.zeros_like(b["image"])}
    )
    np.testing.assert_array_equal(ids, reader.split.example_ids)
    # Rounding of a row depends on its place in the batch.
    np.testing.assert_allclose(
        logits, np.tile(logits[:1], [len(ids), 1]), rtol=1e-5
    )
    assert not np.allclose(network.program.predict(reader)[1], logits)


def test_neighbours_are_asked_of_each_stage_before_and_after(runs, network):
    scores = analysis.score_neighbors(network, num_neighbors=3)
    assert [s.stage for s in scores] == network.stage_names
    for step, name in ((0, "initial"), (6, "trained")):
        network.weights(analysis.Checkpoint(runs[0], step))
        model = network.program.staged.feature_model()
        features, labels = {}, {}
        for split in ("train", "test"):
            reader = network.data.reader(split)
            batch = next(iter(reader.evaluation_batches(128)))
            n = reader.split.num_examples
            assert n <= 128
            pixels = data.normalize(
                batch["image"][:n], network.program.preprocessing
            )
            maps = model(pixels, training=False)["conv2"].numpy()
            rows = maps.mean(axis=(1, 2))
            features[split] = rows / np.linalg.norm(rows, axis=1)[:, None]
            labels[split] = reader.split.labels
        nearest = np.argsort(-features["test"] @ features["train"].T, axis=1)
        votes = labels["train"][nearest[:, :3]]
        counts = [np.bincount(v, minlength=2) for v in votes]
        accuracy = (np.argmax(counts, axis=1) == labels["test"]).mean()
        assert getattr(scores[1], name) == pytest.approx(accuracy)


def test_neighbours_that_cannot_be_are_refused(network):
    with pytest.raises(ValueError, match="num_neighbors=10000"):
        analysis.score_neighbors(network, num_neighbors=10000)
    with pytest.raises(ValueError, match="their own neighbours"):
        analysis.score_neighbors(network, num_neighbors=1, split="train")


def test_what_cannot_be_is_refused(runs, network):
    with pytest.raises(ValueError, match="mode='zero'.*initial, random"):
        analysis.reinitialize_stages(network, mode="zero")
    end = analysis.Checkpoint(runs[0], 6)
    with pytest.raises(ValueError, match="num_points=1"):
        analysis.interpolate(network, end, end, num_points=1)
    missing = analysis.Checkpoint(runs[0], 3)
    with pytest.raises(FileNotFoundError, match="--keep_checkpoint_steps=3"):
        analysis.weight_movement(network, missing, end)


def test_a_run_of_another_model_is_named(runs, network, tmp_path):
    record = runs[1].config()
    record["config"]["model"] = "cbr_small"
    other = records.RunDirectory(tmp_path)
    records.write_json(other.config_path, record)
    with pytest.raises(ValueError, match="model='cbr_tiny' and.*'cbr_small'"):
        network.weights(analysis.Checkpoint(other, 6))


def test_the_launcher_writes_movements_as_json(runs, tmp_path):
    process = running.run(
        "probe",
        "--probe=weight_movement",
        f"--run_a={runs[0].path}",
        f"--output={tmp_path / 'rows.json'}",
    )
    assert process.returncode == 0, process.stderr[-2000:]
    text = (tmp_path / "rows.json").read_text()
    assert "Infinity" not in text
    by_key = {row["variable"]: row for row in json.loads(text)["rows"]}
    assert by_key["conv1_bn/beta"]["relative"] is None


def test_the_launcher_prints_and_writes_a_row_a_stage(runs, tmp_path):
    process = running.run(
        "probe",
        "--probe=reinitialize",
        f"--run_a={runs[0].path}",
        f"--output={tmp_path / 'rows.json'}",
    )
    assert process.returncode == 0, process.stderr[-2000:]
    rows = json.loads((tmp_path / "rows.json").read_text())["rows"]
    lines = process.stdout.splitlines()
    assert lines[0].split() == ["stage", "score"]
    assert lines[1].split() == ["as", "trained", f"{rows[0]['score']:.4f}"]
    assert len({len(line) for line in lines}) == 1  # Columns are aligned.
    assert [line.split()[0] for line in lines[2:]] == [
        row["stage"] for row in rows[1:]
    ]

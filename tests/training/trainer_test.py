import contextlib
import dataclasses
import errno
import json
import shutil
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.comparing import assert_same_run
from tests.launch import running
from tests.tensorboard.writer_test import read
from transfusion_tf import initialization, models, records, training
from transfusion_tf.tensorboard import schema
from transfusion_tf.training import strategies


@pytest.fixture(scope="module")
def finished(trainer, folder_config, tmp_path_factory):
    """A run that nothing disturbed."""
    path = tmp_path_factory.mktemp("runs") / "undisturbed"
    trainer.train(folder_config, path)
    return path


class StopAfter:
    """Asks for a stop after so many steps; sees every step."""

    def __init__(self, num_steps):
        self.request = training.StopRequest()
        self.num_steps = num_steps
        self.seen = 0

    def update(self, num_steps, description):
        self.seen += num_steps
        if self.num_steps is not None and self.seen >= self.num_steps:
            self.request.set()


def trainer_that_stops(trainer, num_steps):
    """Shares the compiled program and the data of `trainer`."""
    progress = StopAfter(num_steps)
    stopping = training.Trainer(
        progress=progress, stop_request=progress.request
    )
    stopping._program, stopping._data = trainer._program, trainer._data
    return stopping, progress


@pytest.mark.parametrize("stops", [[1], [3, 4], [6, 7, 11], [2, 5, 8, 10]])
def test_a_run_stopped_anywhere_ends_with_the_same_bits(
    trainer, folder_config, finished, tmp_path, stops
):
    path = tmp_path / "run"
    for stop in stops:
        stopping, _ = trainer_that_stops(trainer, stop)
        with pytest.raises(training.Interrupted, match="Repeat the same"):
            stopping.train(folder_config, path)
        assert not records.RunDirectory(path).is_finished
    trainer.train(folder_config, path)
    assert_same_run(path, finished)


def test_the_first_filters_are_kept_and_shown(finished, folder_config):
    run = records.RunDirectory(finished)
    filters = records.read_npz(run.filters_path)
    last = run.result()["num_steps"]
    assert filters["steps"].tolist() == [0, last]
    assert filters["kernels"].dtype == np.float32
    network = models.build(
        "cbr_tiny", num_outputs=2, image_shape=(32, 32, 3)
    ).model
    for step, kernel in zip(filters["steps"], filters["kernels"], strict=True):
        network.load_weights(str(run.weights_path(step)))
        layer = network.get_layer(str(filters["layer"]))
        assert layer is network.layers[1]
        np.testing.assert_array_equal(kernel, layer.kernel.numpy())
    assert np.ptp(filters["kernels"], axis=0).max() > 0
    shown = read(finished)
    events = shown.Tensors(f"transfusion/filters/{filters['layer']}")
    assert [event.step for event in events] == [0, last]
    for event, kernel in zip(events, filters["kernels"], strict=True):
        values = tf.make_ndarray(event.tensor_proto)
        np.testing.assert_array_equal(values, np.moveaxis(kernel, -1, 0))
    metadata = shown.SummaryMetadata("transfusion/run")
    info = schema.decode(metadata.plugin_data.content)
    result = run.result()
    assert info["num_parameters"] == result["parameters"]["total"]
    assert info["num_steps"] == result["num_steps"]
    assert (info["model_title"], info["init"]) == ("CBR-Tiny", "random")
    assert (info["seed"], info["fold"]) == (0, None)
    assert info["metric"] == "accuracy"  # Of classes without an order.


class StopAtLook:
    """A request to stop that comes just before it is looked at once more."""

    def __init__(self, number):
        self.number = number

    @property
    def is_set(self):
        self.number -= 1
        return self.number <= 0


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {
            "num_epochs": 4,
            "early_stopping": 2,
            "similarity_every_steps": 2,
            "probe_examples": 6,
            "keep_checkpoint_steps": (3, 4),
            "checkpoint_every_steps": 1000,
        },
    ],
)
def test_a_run_stopped_while_it_scores_ends_with_the_same_bits(
    folder_config, tmp_path, changes
):
    config = dataclasses.replace(folder_config, **changes)
    trainer = training.Trainer()
    trainer.train(config, tmp_path / "undisturbed")
    # More looks than the two splits that are scored in the end need.
    run, attempts = records.RunDirectory(tmp_path / "run"), 0
    while not run.is_finished:
        attempts += 1
        assert attempts < 50
        trainer.stop_request = StopAtLook(6 + attempts % 3)
        with contextlib.suppress(training.Interrupted):
            trainer.train(config, run.path)
    assert attempts > 3
    assert_same_run(run.path, tmp_path / "undisturbed")


def test_a_run_killed_after_its_stopped_evaluation_ends_with_the_same_bits(
    folder_config, tmp_path, monkeypatch
):
    config = dataclasses.replace(folder_config, checkpoint_every_steps=1000)
    trainer = training.Trainer()
    trainer.train(config, tmp_path / "undisturbed")
    run = records.RunDirectory(tmp_path / "run")
    steps = sorted(
        {
            row["step"]
            for row in records.RunDirectory(tmp_path / "undisturbed").metrics()
        }
    )
    # Its last look before the first evaluation ends: saved, not evaluated.
    trainer.stop_request = StopAtLook(steps[0] + 1)
    with pytest.raises(training.Interrupted):
        trainer.train(config, run.path)
    assert run.metrics() == []

    class Killed(BaseException):
        pass

    def killed(*_):
        raise Killed

    trainer.stop_request = training.StopRequest()
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(training.Program, "train_step", killed)
        trainer.train(config, run.path)
    assert {row["step"] for row in run.metrics()} == {steps[0]}
    trainer.train(config, run.path)
    assert_same_run(run.path, tmp_path / "undisturbed")


def test_what_one_process_cannot_reach_is_no_worker(
    trainer, folder_config, tmp_path, monkeypatch
):
    # An object store that does not answer raises what a dead worker does.
    def fail(_):
        raise tf.errors.UnavailableError(None, None, "the store is away")

    monkeypatch.setattr(training.TaskData, "check_disjoint", fail)
    with pytest.raises(tf.errors.UnavailableError, match="store is away"):
        trainer.train(folder_config, tmp_path / "run")


def test_a_program_is_of_the_strategy_that_is_asked_for(folder_config):
    trainer = training.Trainer()
    run_data = trainer.data(folder_config)
    config = dataclasses.replace(folder_config, model="cbr_small")
    for strategy, num_replicas in (("default", 1), ("mirrored", 2)):
        config = dataclasses.replace(config, strategy=strategy)
        found = trainer.program(config, run_data)
        assert found.strategy.num_replicas_in_sync == num_replicas
        assert trainer.program(config, run_data) is found


def test_a_finished_run_keeps_no_checkpoints_to_go_on_from(
    trainer, folder_config, finished, tmp_path
):
    # As left by a process that was killed just after it wrote the result.
    run = records.RunDirectory(tmp_path / "run")
    shutil.copytree(finished, run.path)
    run.resume_path.mkdir()
    (run.resume_path / "step-9.index").write_text("a checkpoint")
    assert trainer.train(folder_config, run.path) == run.result()
    assert not run.resume_path.exists()
    assert_same_run(run.path, finished)


def test_a_worker_that_has_stopped_is_told_with_the_reason(
    trainer, folder_config, tmp_path, monkeypatch
):
    # As TensorFlow words it.
    text = (
        "Graph execution error:\n\nDetected at node allgather defined at (most "
        'recent call last):\n  File "loop.py", line 7, in <module>\n\n'
        "Collective ops is aborted by: Socket closed\nAdditional information"
    )

    def fail(_):
        raise tf.errors.UnavailableError(None, None, text)

    monkeypatch.setattr(training.TaskData, "check_disjoint", fail)
    monkeypatch.setattr(strategies, "num_workers", lambda strategy: 2)
    monkeypatch.setattr(strategies, "is_chief", lambda strategy: True)
    with pytest.raises(
        RuntimeError,
        match="worker of run has stopped. Received: Collective ops is aborted "
        "by: Socket closed. See what it said",
    ):
        trainer.train(folder_config, tmp_path / "run")


def test_another_run_in_between_changes_nothing(
    trainer, folder_config, finished, tmp_path
):
    other = dataclasses.replace(folder_config, seed=9, num_epochs=1)
    trainer.train(other, tmp_path / "other")
    trainer.train(folder_config, tmp_path / "again")
    assert_same_run(tmp_path / "again", finished)


def test_runs_of_one_architecture_share_one_trace(
    trainer, folder_config, finished, tmp_path
):
    for seed in (1, 2):
        config = dataclasses.replace(folder_config, seed=seed, num_steps=3)
        trainer.train(config, tmp_path / f"{seed}")
    run_data = trainer.data(folder_config)
    program = trainer.program(folder_config, run_data)
    assert program._train.experimental_get_tracing_count() == 1
    assert program._predict.compiled.experimental_get_tracing_count() == 1


def test_each_split_is_predicted_once_for_each_row_that_needs_it(
    trainer, folder_config, tmp_path, monkeypatch
):
    predicted = []
    predict = training.Program.predict

    def counted(self, reader, change=None):
        predicted.append(reader.split.name)
        return predict(self, reader, change)

    monkeypatch.setattr(training.Program, "predict", counted)
    config = dataclasses.replace(folder_config, num_steps=6)
    trainer.train(config, tmp_path / "run")
    # After steps 3 and 6; what is written in the end is that of step 6.
    assert predicted == ["validation", "validation", "test"]


def test_a_finished_run_is_not_trained_again(trainer, folder_config, finished):
    again, progress = trainer_that_stops(trainer, None)
    result = again.train(folder_config, finished)
    assert progress.seen == 0
    assert result == records.read_json(finished / "result.json")


def test_the_records_are_complete_and_agree(finished, folder_config):
    run = records.RunDirectory(finished)
    result, config = run.result(), run.config()
    num_train = config["data"]["train"]["num_examples"]
    num_steps = 2 * (num_train // 8)
    assert result["num_steps"] == num_steps
    assert config["config"] == folder_config.record()
    assert config["environment"]["keras"] == keras.__version__
    assert run.weights_path(0).exists()
    assert run.weights_path(num_steps).exists()
    assert not run.resume_path.exists()
    steps = [r["step"] for r in run.metrics() if r["split"] == "validation"]
    assert steps == [*range(3, num_steps, 3), num_steps]
    predictions = records.read_npz(run.predictions_path("test"))
    assert len(predictions["label"]) == config["data"]["test"]["num_examples"]
    right = predictions["score"].argmax(-1) == predictions["label"]
    assert result["test"]["accuracy"] == pytest.approx(right.mean())


def test_a_task_that_colour_gives_away_is_learnt(finished):
    assert records.read_json(finished / "result.json")["test"]["accuracy"] == 1


def test_the_weights_of_step_0_are_those_of_the_scheme(finished, trainer):
    staged = models.build("cbr_tiny", num_outputs=2, image_shape=(32, 32, 3))
    staged.model.load_weights(finished / "checkpoints/weights_0.weights.h5")
    saved = {k: v.numpy() for k, v in staged.variables().items()}
    initialization.initialize(staged, "random", seed=0)
    for key, variable in staged.variables().items():
        np.testing.assert_array_equal(saved[key], variable, err_msg=key)


def test_another_configuration_is_refused_naming_what_differs(
    trainer, folder_config, finished
):
    other = dataclasses.replace(folder_config, learning_rate=0.5, seed=4)
    expected = "--learning_rate: was 0.001, is 0.5; --seed: was 0, is 4"
    with pytest.raises(ValueError, match=expected):
        trainer.train(other, finished)


def test_checkpoints_of_an_unknown_configuration_are_not_resumed(
    trainer, folder_config, tmp_path
):
    path = tmp_path / "run"
    stopping, _ = trainer_that_stops(trainer, 2)
    with pytest.raises(training.Interrupted):
        stopping.train(folder_config, path)
    (path / "config.json").unlink()
    with pytest.raises(ValueError, match="checkpoints but no config.json"):
        trainer.train(folder_config, path)


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def empty(path):
    path.write_bytes(b"")


def remove(path):
    path.unlink()


def damage_checkpoint(run_dir, step, ending, damage):
    (path,) = (run_dir / "checkpoints/resume").glob(f"step-{step}.{ending}")
    damage(path)
    return path.name


@pytest.mark.parametrize(
    ("ending", "damage"),
    [
        ("data-*", truncate),
        ("data-*", flip_a_bit),
        ("data-*", remove),
        ("index", flip_a_bit),
        ("index", empty),
    ],
)
def test_a_damaged_checkpoint_is_told_and_the_one_before_is_taken(
    trainer, folder_config, finished, tmp_path, ending, damage
):
    path = tmp_path / "run"
    stopping, _ = trainer_that_stops(trainer, 7)
    with pytest.raises(training.Interrupted):
        stopping.train(folder_config, path)
    name = damage_checkpoint(path, 7, ending, damage)
    told = f"goes on from step 6: 1 steps are lost.*Received: {name} is"
    # Stopped once more: what was told is still in the result.
    stopping, progress = trainer_that_stops(trainer, 6 + 2)
    with pytest.warns(UserWarning, match=told):
        with pytest.raises(training.Interrupted, match="after step 8 of"):
            stopping.train(folder_config, path)
    result = trainer.train(folder_config, path)
    (entry,) = result["damaged_checkpoints"]
    assert (entry["step"], entry["resumed_from"]) == (7, 6)
    assert entry["damage"].startswith(name)
    assert_same_run(path, finished)


def test_a_checkpoint_that_was_not_written_to_its_end_is_not_taken(
    trainer, folder_config, finished, tmp_path
):
    path = tmp_path / "run"
    stopping, _ = trainer_that_stops(trainer, 7)
    with pytest.raises(training.Interrupted):
        stopping.train(folder_config, path)
    damage_checkpoint(path, 7, "sha256", remove)
    damage_checkpoint(path, 7, "index", truncate)
    (path / "checkpoints/resume/step-8_temp").mkdir()
    result = trainer.train(folder_config, path)
    assert "damaged_checkpoints" not in result  # As after any kill.
    assert_same_run(path, finished)


def test_if_every_checkpoint_is_damaged_nothing_begins_anew(
    trainer, folder_config, tmp_path
):
    path = tmp_path / "run"
    stopping, _ = trainer_that_stops(trainer, 7)
    with pytest.raises(training.Interrupted):
        stopping.train(folder_config, path)
    for step in (6, 7):
        damage_checkpoint(path, step, "data-*", flip_a_bit)
    before = sorted(path.rglob("*"))
    expected = "step-7.data.*; step-6.data.*All 7 steps are lost: delete the"
    with pytest.raises(ValueError, match=expected):
        trainer.train(folder_config, path)
    assert [p for p in before if not p.exists()] == []


def test_if_the_checkpoints_are_gone_nothing_begins_anew(
    trainer, folder_config, tmp_path
):
    path = tmp_path / "run"
    stopping, _ = trainer_that_stops(trainer, 7)
    with pytest.raises(training.Interrupted):
        stopping.train(folder_config, path)
    for checksums in path.glob("checkpoints/resume/*.sha256"):
        checksums.unlink()  # As an earlier version wrote them.
    others = sorted(path.glob("checkpoints/resume/*"))
    with pytest.raises(ValueError, match="up to step 6.*All 6 steps are lost"):
        trainer.train(folder_config, path)
    assert others and sorted(path.glob("checkpoints/resume/*")) == others


@pytest.mark.parametrize("damage", [truncate, flip_a_bit, empty])
def test_damaged_weights_are_named(trainer, finished, tmp_path, damage):
    path = tmp_path / "run"
    shutil.copytree(finished, path)
    (weights,) = path.glob("checkpoints/weights_1*.h5")
    damage(weights)
    with pytest.raises(ValueError, match=f"{weights.name}' is damaged"):
        training.score_run(path, trainer, split="test")
    with pytest.raises(ValueError, match=f"{weights.name}' is damaged"):
        initialization.load_donor(str(path), "cbr_tiny")


def test_truncated_weights_of_a_run_without_checksums_are_named(
    trainer, finished, tmp_path
):
    path = tmp_path / "run"
    shutil.copytree(finished, path)
    (weights,) = path.glob("checkpoints/weights_1*.h5")
    records.checksums_path(weights).unlink()
    training.score_run(path, trainer, split="test")
    truncate(weights)
    with pytest.raises(ValueError, match=f"{weights.name}' is damaged, or no"):
        training.score_run(path, trainer, split="test")


def test_early_stopping_takes_the_best_weights(
    trainer, folder_config, tmp_path
):
    config = dataclasses.replace(
        folder_config,
        early_stopping=2,
        eval_every_steps=1,
        num_epochs=20,
        similarity_every_steps=1000,
    )
    result = trainer.train(config, tmp_path / "run")
    run = records.RunDirectory(tmp_path / "run")
    rows = [r for r in run.metrics() if r["split"] == "validation"]
    accuracies = [row["accuracy"] for row in rows]
    best = int(np.argmax(accuracies))
    assert result["num_steps"] == rows[best]["step"]
    assert len(rows) == best + 3
    assert result["steps_trained"] == rows[-1]["step"]
    # The start and the last step are compared with it, wherever that comes.
    probes = [r["step"] for r in run.metrics() if r["split"] == "probe"]
    assert probes == [0, rows[-1]["step"]]
    assert result["validation"]["accuracy"] == max(accuracies)
    stored = records.read_npz(run.predictions_path("validation"))
    again, _ = training.score_run(run.path, trainer, split="validation")
    np.testing.assert_allclose(stored["score"], again.score, atol=1e-6)
    kept = sorted(p.name for p in (run.path / "checkpoints").glob("*.h5"))
    assert kept == sorted(
        {"weights_0.weights.h5", f"weights_{best + 1}.weights.h5"}
    )


def test_asked_for_weights_are_kept(trainer, folder_config, tmp_path):
    config = dataclasses.replace(
        folder_config, num_steps=4, keep_checkpoint_steps=(1, 3)
    )
    trainer.train(config, tmp_path / "run")
    kept = (tmp_path / "run" / "checkpoints").glob("weights_*.h5")
    steps = sorted(int(p.name.split("_")[1].split(".")[0]) for p in kept)
    assert steps == [0, 1, 3, 4]


class PoisonAfter(StopAfter):
    """Spoils a weight after so many steps."""

    def __init__(self, num_steps, program, value):
        super().__init__(None)
        self.poisoned_step = num_steps
        self.weight = program.staged.model.trainable_variables[0]
        self.value = value

    def update(self, num_steps, description):
        super().update(num_steps, description)
        if self.seen == self.poisoned_step:
            values = self.weight.numpy()
            values.flat[0] = self.value
            self.weight.assign(values)


# Weights are looked at when step 6 is evaluated and saved. What is spoilt after
# step 4 makes the loss of step 5 the first that is not finite.
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize(
    ("poisoned_step", "told"),
    [(4, "loss of step 5 of run is not"), (6, "state after step 6 of run is")],
)
def test_what_is_not_finite_is_told_by_its_step_and_never_saved(
    trainer, folder_config, finished, tmp_path, poisoned_step, told, value
):
    path = tmp_path / "run"
    program = trainer.program(folder_config, trainer.data(folder_config))
    progress = PoisonAfter(poisoned_step, program, value)
    poisoned = training.Trainer(progress=progress)
    poisoned._program, poisoned._data = trainer._program, trainer._data
    with pytest.raises(FloatingPointError, match=told):
        poisoned.train(folder_config, path)
    assert progress.seen == 6
    saved = (path / "checkpoints/resume").glob("step-*.index")
    assert [p.stem for p in saved] == ["step-3"]
    rows = records.RunDirectory(path).metrics()
    assert [row["step"] for row in rows] == [3, 3]
    # What was kept is good: without the poison it ends as it should.
    trainer.train(folder_config, path)
    assert_same_run(path, finished)


def test_a_loss_that_is_not_finite_is_noticed_between_evaluations(
    trainer, folder_config, tmp_path
):
    config = dataclasses.replace(
        folder_config, num_steps=150, eval_every_steps=150
    )
    program = trainer.program(config, trainer.data(config))
    progress = PoisonAfter(1, program, np.nan)
    poisoned = training.Trainer(progress=progress)
    poisoned._program, poisoned._data = trainer._program, trainer._data
    with pytest.raises(FloatingPointError, match="loss of step 2 of run"):
        poisoned.train(config, tmp_path / "run")
    assert progress.seen == 100


def test_a_learning_rate_that_is_too_high_is_named(
    trainer, folder_config, tmp_path
):
    config = dataclasses.replace(folder_config, learning_rate=1e30)
    with pytest.raises(FloatingPointError, match="Use a smaller --learning_ra"):
        trainer.train(config, tmp_path / "run")
    assert not records.RunDirectory(tmp_path / "run").is_finished


def test_random_initialization_with_a_donor_is_refused(
    trainer, folder_config, tmp_path
):
    config = dataclasses.replace(folder_config, donor="imagenet")
    with pytest.raises(ValueError, match="Leave out --donor"):
        trainer.train(config, tmp_path / "run")
    assert not (tmp_path / "run" / "config.json").exists()


def test_an_unwritable_directory_is_refused_at_once(trainer, folder_config):
    with pytest.raises(OSError, match="Cannot write into '/proc/run'"):
        trainer.train(folder_config, "/proc/run")


def test_a_full_disk_leaves_no_half_written_weights(
    trainer, folder_config, tmp_path, monkeypatch
):
    def fill_the_disk(path):
        with open(path, "wb") as file:
            file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    run_data = trainer.data(folder_config)
    staged = trainer.program(folder_config, run_data).staged
    monkeypatch.setattr(staged.model, "save_weights", fill_the_disk)
    with pytest.raises(OSError, match="No space left.*Make space"):
        trainer.train(folder_config, tmp_path / "run")
    assert not list((tmp_path / "run" / "checkpoints").iterdir())


TRAIN_MIRRORED = """
import json, sys
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2)
from transfusion_tf import training
config = training.TrainConfig(
    model="cbr_tiny", task="folder:" + sys.argv[1], image_size=32,
    batch_size=8, num_steps=2, strategy="mirrored",
    similarity_every_steps=1, probe_examples=9)
print(json.dumps(training.Trainer().train(config, sys.argv[2])))
"""


def test_two_replicas_train_and_score_every_example(class_folders, tmp_path):
    process = running.run_command(
        [
            sys.executable,
            "-c",
            TRAIN_MIRRORED,
            str(class_folders),
            str(tmp_path / "run"),
        ]
    )
    assert process.returncode == 0, process.stderr[-2000:]
    assert json.loads(process.stdout.splitlines()[-1])["num_steps"] == 2
    predictions = records.read_npz(tmp_path / "run/predictions_test.npz")
    np.testing.assert_array_equal(predictions["example_id"], np.arange(14))
    rows = records.RunDirectory(tmp_path / "run").metrics()
    probes = [row for row in rows if row["split"] == "probe"]
    assert [row["step"] for row in probes] == [0, 1, 2]
    assert all(0.1 < s < 1 for s in probes[1]["similarity"].values())

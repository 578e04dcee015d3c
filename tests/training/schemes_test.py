"""A step of every scheme and variant, on one and on two replicas."""

import dataclasses
import json
import sys

import numpy as np
import pytest

from tests.launch import running
from transfusion_tf import records, training

SCHEMES = (
    "random",
    "transfer",
    "transfuse:conv2",
    "wt_st:conv2",
    "mean_var",
    "empirical",
    "shuffle",
    "gabor",
    "conv1=copy,conv2..conv3=mean_var,conv4..=random",
)
VARIANTS = ("cbr_tiny:slim=conv2", "cbr_tiny:truncate=conv2")


@pytest.fixture(scope="module")
def donor(trainer, folder_config, tmp_path_factory):
    path = tmp_path_factory.mktemp("donor")
    config = dataclasses.replace(folder_config, seed=7, num_steps=3)
    trainer.train(config, path)
    return path


def config_of(folder_config, donor, scheme, **values):
    needs_donor = scheme not in ("random", "gabor")
    return dataclasses.replace(
        folder_config,
        init=scheme,
        donor=str(donor) if needs_donor else None,
        num_steps=1,
        eval_every_steps=1,
        **values,
    )


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_scheme_trains_and_its_record_names_every_variable(
    trainer, folder_config, donor, tmp_path, scheme
):
    config = config_of(folder_config, donor, scheme)
    result = trainer.train(config, tmp_path / "run")
    assert 0 <= result["test"]["accuracy"] <= 1
    run = records.RunDirectory(tmp_path / "run")
    written = records.read_json(run.initialization_path)
    program = trainer.program(config, trainer.data(config))
    assert [r["variable"] for r in written] == list(program.staged.variables())
    again = trainer.train(config, tmp_path / "again")
    assert again["test"] == result["test"]


@pytest.mark.parametrize("model", VARIANTS)
def test_a_variant_trains_and_can_be_a_donor_of_nothing_else(
    trainer, folder_config, donor, tmp_path, model
):
    scheme = "transfuse:conv2"
    config = config_of(folder_config, donor, scheme, model=model)
    trainer.train(config, tmp_path / "run")
    other = config_of(folder_config, tmp_path / "run", "transfer")
    with pytest.raises(ValueError, match="another model than cbr_tiny"):
        trainer.train(other, tmp_path / "other")


@pytest.mark.parametrize("which", ["copied_batch_norm", "other_batch_norm"])
def test_recalibrated_statistics_are_there_before_the_first_step(
    trainer, folder_config, donor, tmp_path, which
):
    config = config_of(
        folder_config, donor, "transfuse:conv2", **{which: "recalibrate"}
    )
    trainer.train(config, tmp_path / "run")
    run = records.RunDirectory(tmp_path / "run")
    program = trainer.program(config, trainer.data(config))
    program.staged.model.load_weights(str(run.weights_path(0)))
    values = {k: v.numpy() for k, v in program.staged.variables().items()}
    is_set = {
        stage: bool((values[f"{stage}_bn/moving_mean"] != 0).any())
        for stage in ("conv1", "conv2", "conv3", "conv4")
    }
    others = which == "other_batch_norm"
    # Copied stages have the donor's where they are not recalibrated.
    assert is_set == {
        "conv1": True,
        "conv2": True,
        "conv3": others,
        "conv4": others,
    }
    written = records.read_json(run.initialization_path)
    recalibrated = {r["stage"] for r in written if r["source"] == "recalibrate"}
    assert recalibrated == (
        {"conv3", "conv4"} if others else {"conv1", "conv2"}
    )


def test_a_published_record_goes_on_when_fields_were_added(
    trainer, folder_config, tmp_path
):
    config = dataclasses.replace(folder_config, num_steps=1)
    trainer.train(config, tmp_path)
    run = records.RunDirectory(tmp_path)
    record = run.config()
    for name in ("trainable", "copied_batch_norm", "resample_biases"):
        del record["config"][name]
    records.write_json(run.config_path, record)
    training.check_same_config(run, config)
    other = dataclasses.replace(config, trainable="head")
    with pytest.raises(ValueError, match="--trainable: was 'all', is 'head'"):
        training.check_same_config(run, other)


TWO_REPLICAS = """
import dataclasses, json, sys
import numpy as np
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2)
from transfusion_tf import records, training
configs, root = json.loads(sys.argv[1]), sys.argv[2]
trainer = training.Trainer()
for place, record in enumerate(configs):
    config = training.TrainConfig.from_record(record)
    trainer.train(config, f"{root}/{place}")
"""


def test_two_replicas_begin_with_the_same_bits_as_one(
    trainer, folder_config, donor, tmp_path
):
    configs = [config_of(folder_config, donor, scheme) for scheme in SCHEMES]
    mirrored = [
        dataclasses.replace(config, strategy="mirrored").record()
        for config in configs
    ]
    process = running.run_command(
        [
            sys.executable,
            "-c",
            TWO_REPLICAS,
            json.dumps(mirrored),
            str(tmp_path / "two"),
        ]
    )
    assert process.returncode == 0, process.stderr[-2000:]
    for place, config in enumerate(configs):
        path = tmp_path / "one" / str(place)
        trainer.train(config, path)
        one = records.RunDirectory(path)
        two = records.RunDirectory(tmp_path / "two" / str(place))
        program = trainer.program(config, trainer.data(config))
        model = program.staged.model
        values = []
        for run in (one, two):
            model.load_weights(str(run.weights_path(0)))
            values.append([v.numpy() for v in model.variables])
        for first, second in zip(*values, strict=True):
            np.testing.assert_array_equal(first, second)
        assert two.result()["num_steps"] == 1

import dataclasses

import numpy as np
import pytest

from transfusion_tf import data, initialization, training
from transfusion_tf.training import freezing

STAGES = ("conv1", "conv2", "conv3", "conv4")


@pytest.mark.parametrize(
    ("trainable", "frozen"),
    [
        ("all", ()),
        ("head", STAGES),
        ("after:conv1", ("conv1",)),
        ("after:conv3", ("conv1", "conv2", "conv3")),
    ],
)
def test_what_does_not_learn(trainable, frozen):
    assert freezing.frozen_stages(trainable, STAGES) == frozen


@pytest.mark.parametrize(
    "trainable", ["conv1", "after:conv9", "after:", "none"]
)
def test_an_unknown_choice_lists_the_stages(trainable):
    with pytest.raises(ValueError, match=r"all, head or after:STAGE.*conv4"):
        freezing.frozen_stages(trainable, STAGES)


def step(trainer, config, **values):
    """Values before and after a step of training."""
    config = dataclasses.replace(config, optimizer="sgd", **values)
    run_data = trainer.data(config)
    program = trainer.program(config, run_data)
    initialization.initialize(program.staged, "random", seed=0)
    program.reset_optimizer()
    variables = program.staged.variables()
    before = {key: v.numpy() for key, v in variables.items()}
    batches = run_data.train.train_batches(seed=0, batch_size=8)
    program.train_step(next(iter(batches)), 0.1)
    after = {key: v.numpy() for key, v in variables.items()}
    return before, after


@pytest.mark.parametrize("batch_norm", ["moving", "batch"])
@pytest.mark.parametrize("trainable", ["head", "after:conv2", "all"])
def test_frozen_stages_stay_and_the_others_learn(
    trainer, folder_config, trainable, batch_norm
):
    before, after = step(
        trainer,
        folder_config,
        trainable=trainable,
        frozen_batch_norm=batch_norm,
    )
    frozen = freezing.frozen_stages(trainable, STAGES)
    for key, value in after.items():
        is_frozen = key.startswith(tuple(frozen)) if frozen else False
        is_statistic = "/moving_" in key
        moves = not is_frozen or (is_statistic and batch_norm == "batch")
        assert np.array_equal(before[key], value) != moves, key


def test_a_fixed_extractor_is_a_regression_on_its_features(
    trainer, folder_config
):
    """With moving statistics, a step on the head is that of a linear model."""
    config = dataclasses.replace(
        folder_config,
        trainable="head",
        optimizer="sgd",
        augmentation="none",
    )
    run_data = trainer.data(config)
    program = trainer.program(config, run_data)
    initialization.initialize(program.staged, "random", seed=0)
    program.reset_optimizer()
    batch = next(iter(run_data.train.train_batches(seed=0, batch_size=8)))
    images = data.normalize(batch["image"], program.preprocessing)
    features = program.staged.feature_model()(images, training=False)["conv4"]
    # The pool that follows the stage's ReLU: 3 x 3, stride 2.
    pooled = program.staged.model.get_layer("conv4_pool")(features)
    x = np.mean(pooled.numpy(), axis=(1, 2))
    head = program.staged.model.get_layer("head")
    kernel, bias = head.kernel.numpy(), head.bias.numpy()
    logits = x @ kernel + bias
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    error = odds / odds.sum(axis=1, keepdims=True)
    error[np.arange(8), batch["label"]] -= 1
    program.train_step(batch, 0.1)
    np.testing.assert_allclose(
        head.kernel.numpy(), kernel - 0.1 * x.T @ error / 8, atol=1e-5
    )


def test_what_cannot_be_is_found_before_anything_is_built(folder_config):
    config = dataclasses.replace(folder_config, trainable="after:block1")
    with pytest.raises(ValueError, match="trainable='after:block1'"):
        training.load_donor(config)

import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from transfusion_tf import data, initialization, training


def spec_of(config, num_outputs=2):
    return training.ProgramSpec(
        model=config.model,
        num_outputs=num_outputs,
        image_size=config.image_size,
        batch_size=config.batch_size,
        optimizer="sgd",
        augmentation="none",
        preprocessing=None,
        batch_norm_momentum=0.5,
        jit_compile=False,
    )


@pytest.fixture(scope="module")
def program(folder_config):
    return training.Program(
        spec_of(folder_config), tf.distribute.get_strategy()
    )


@pytest.fixture
def run_data(trainer, folder_config):
    return trainer.data(folder_config)


def test_a_step_is_plain_gradient_descent_on_the_mean_loss(program, run_data):
    initialization.initialize(program.staged, "random", seed=0)
    program.reset_optimizer()
    batch = next(
        iter(run_data.train.train_batches(seed=0, epoch=0, batch_size=8))
    )
    model = program.staged.model
    before = [v.numpy() for v in model.trainable_variables]
    images = data.normalize(batch["image"], "torch")
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    statistics = [v.numpy() for v in model.non_trainable_variables]
    with tf.GradientTape() as tape:
        loss = loss_of(batch["label"], model(images, training=True))
    gradients = tape.gradient(loss, model.trainable_variables)
    for variable, value in zip(
        model.non_trainable_variables, statistics, strict=True
    ):
        variable.assign(value)

    program.train_step(batch, 0.1)

    np.testing.assert_allclose(program.loss_sum, loss, rtol=1e-5)
    for variable, value, gradient in zip(
        model.trainable_variables, before, gradients, strict=True
    ):
        np.testing.assert_allclose(
            variable, value - 0.1 * gradient.numpy(), atol=1e-5
        )
    assert program.step == 1


def test_resetting_brings_the_optimizer_back_to_its_start(program, run_data):
    batches = run_data.train.train_batches(seed=0, epoch=0, batch_size=8)
    first_losses = []
    for _ in range(2):
        initialization.initialize(program.staged, "random", seed=3)
        program.reset_optimizer()
        for batch in batches.take(3):
            program.train_step(batch, 0.1)
        first_losses.append(float(program.loss_sum))
    assert first_losses[0] == first_losses[1]


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_prediction_gives_every_example_its_own_logits(
    program, run_data, split
):
    reader = run_data.reader(split)
    ids, logits = program.predict(reader)
    np.testing.assert_array_equal(ids, reader.split.example_ids)
    (batch,) = reader.evaluation_batches(reader.split.num_examples)
    images = data.normalize(batch["image"], "torch")
    expected = program.staged.model(images, training=False)
    np.testing.assert_allclose(logits, expected, atol=1e-4)


def test_a_lost_example_is_noticed(program, run_data):
    class LossyReader(data.SplitReader):
        def evaluation_batches(self, batch_size):
            return super().evaluation_batches(batch_size).skip(1)

    reader = LossyReader(run_data.test.split, 32)
    with pytest.raises(RuntimeError, match="each example of the test split"):
        program.predict(reader)


@pytest.mark.parametrize("num_replicas", [3, 16])
def test_a_batch_that_replicas_cannot_share_is_refused(
    folder_config, num_replicas
):
    strategy = types.SimpleNamespace(num_replicas_in_sync=num_replicas)
    with pytest.raises(ValueError, match=f"num_replicas={num_replicas}"):
        training.Program(spec_of(folder_config), strategy)

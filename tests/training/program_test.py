import dataclasses
import types

import keras
import numpy as np
import pytest
import scipy.special
import tensorflow as tf

from transfusion_tf import data, initialization, training
from transfusion_tf.training import losses as losses_module


def spec_of(config, num_outputs=2, loss="softmax"):
    return training.ProgramSpec(
        model=config.model,
        num_outputs=num_outputs,
        loss=loss,
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
    batch = next(iter(run_data.train.train_batches(seed=0, batch_size=8)))
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
    batches = run_data.train.train_batches(seed=0, batch_size=8)
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
        def evaluation_batches(self, *arguments):
            return super().evaluation_batches(*arguments).skip(1)

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


# Two findings of three images; the last image's second finding is masked.
TARGET = np.array([[1, 0], [0, 1], [1, 1]], np.float32)
WEIGHT = np.array([[1, 1], [1, 1], [1, 0]], np.float32)


@pytest.mark.parametrize(
    ("loss", "dtype", "tolerance"),
    [
        ("sigmoid", "float32", 1e-5),
        ("multiclass", "float32", 1e-5),
        ("sigmoid", "float64", 1e-13),
        ("multiclass", "float64", 1e-13),
    ],
)
def test_the_loss_of_findings_is_its_closed_form(loss, dtype, tolerance):
    logits = np.random.default_rng(0).normal(
        size=[3, 2 if loss == "sigmoid" else 6]
    )
    target = TARGET if loss == "sigmoid" else np.int64([[1, 2], [0, 1], [1, 1]])
    batch = {"target": tf.constant(target), "weight": tf.constant(WEIGHT)}
    with tf.GradientTape() as tape:
        variable = tf.Variable(logits, dtype=dtype)
        losses = losses_module.LOSSES[loss](batch, variable)
    if loss == "sigmoid":
        probability = scipy.special.expit(logits)
        entropy = -scipy.special.xlogy(TARGET, probability)
        entropy -= scipy.special.xlogy(1 - TARGET, 1 - probability)
    else:
        logs = scipy.special.log_softmax(logits.reshape(3, 2, 3), axis=-1)
        entropy = -np.take_along_axis(logs, target[..., None], axis=-1)[..., 0]
    np.testing.assert_allclose(
        losses, (entropy * WEIGHT).sum(axis=1) / 2, rtol=tolerance
    )
    gradient = tape.gradient(losses, variable).numpy().reshape(3, 2, -1)
    assert (gradient[2, 1] == 0).all()
    assert (gradient[WEIGHT == 1] != 0).all()


def test_findings_are_learnt_with_their_own_loss_and_number_of_outputs(
    folder_config, run_data
):
    """One step of sigmoid loss on one finding is logistic regression's."""
    program = training.Program(
        spec_of(folder_config, num_outputs=1, loss="sigmoid"),
        tf.distribute.get_strategy(),
    )
    initialization.initialize(program.staged, "random", seed=0)
    program.reset_optimizer()
    batch = next(iter(run_data.train.train_batches(seed=0, batch_size=8)))
    label = batch.pop("label")
    batch["target"] = tf.cast(label[:, None], tf.float32)
    batch["weight"] = tf.ones([8, 1])
    kernel = program.staged.model.get_layer("head").kernel
    before = kernel.numpy()
    features = keras.Model(
        program.staged.model.input,
        program.staged.model.get_layer("head").input,
    )
    values = features(data.normalize(batch["image"], "torch"), training=True)
    probability = scipy.special.expit(values.numpy() @ before)
    residual = probability - batch["target"].numpy()
    program.train_step(batch, 0.1)
    np.testing.assert_allclose(
        kernel, before - 0.1 * values.numpy().T @ residual / 8, atol=1e-5
    )


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_computes_as_single_does_but_coarser(
    folder_config, run_data, precision
):
    batch = next(iter(run_data.train.train_batches(seed=0, batch_size=8)))
    losses, kernels = [], []
    for name in ("float32", precision):
        spec = dataclasses.replace(
            spec_of(folder_config), precision=name, optimizer="adam"
        )
        program = training.Program(spec, tf.distribute.get_strategy())
        initialization.initialize(program.staged, "random", seed=0)
        program.reset_optimizer()
        model = program.staged.model
        assert {v.dtype for v in model.variables} == {"float32"}
        assert model.output.dtype == "float32"
        for _ in range(4):
            program.train_step(batch, 1e-3)
        losses.append(float(program.loss_sum))
        kernels.append(model.get_layer("conv1_conv").kernel.numpy())
        assert program.step == 4
    assert model.get_layer("conv1_conv").compute_dtype == precision[6:]
    assert losses[0] != losses[1]
    np.testing.assert_allclose(losses[1], losses[0], rtol=0.05)
    moved = np.abs(kernels[0] - kernels[1]).mean()
    assert 0 < moved < 0.004  # Adam moves each weight by up to 0.004.
    assert keras.config.dtype_policy().name == "float32"


def test_a_step_whose_scaled_gradients_overflow_is_left_out_and_counted(
    folder_config, run_data
):
    spec = dataclasses.replace(
        spec_of(folder_config), precision="mixed_float16"
    )
    program = training.Program(spec, tf.distribute.get_strategy())
    initialization.initialize(program.staged, "random", seed=0)
    program.reset_optimizer()
    program.optimizer.dynamic_scale.assign(2.0**127)
    before = program.staged.model.get_layer("head").kernel.numpy()
    batch = next(iter(run_data.train.train_batches(seed=0, batch_size=8)))
    program.train_step(batch, 0.1)
    np.testing.assert_array_equal(
        program.staged.model.get_layer("head").kernel, before
    )
    assert float(program.optimizer.dynamic_scale) == 2.0**126
    assert program.step == 1
    program.reset_optimizer()
    assert float(program.optimizer.dynamic_scale) == 2.0**15
    assert program.step == 0

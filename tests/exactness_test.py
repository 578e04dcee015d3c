"""Several replicas compute what one device does, up to rounding.

`pytest --full` adds every other model.
"""

import functools

import numpy as np
import pytest
import tensorflow as tf

from tests.data.fake_splits import fake_split
from transfusion_tf import analysis, data, initialization, models, training

BATCH_SIZE = 4
NUM_STEPS = 20


def spec_of(**changes):
    values = {
        "model": "cbr_tiny",
        "num_outputs": 2,
        "loss": "softmax",
        "image_size": 32,
        "batch_size": BATCH_SIZE,
        "optimizer": "adam",
        "augmentation": "flips",
        "preprocessing": None,
        "batch_norm_momentum": 0.9,
        "jit_compile": False,
        "precision": "float64",
    } | changes
    return training.ProgramSpec(**values)


@functools.cache
def two_replicas():
    # One for the process: their keys of collective operations would collide.
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    assert strategy.num_replicas_in_sync == 2
    return strategy


def noisy_split(image_size, num_examples=22):
    """Two labels, told by noise of two brightnesses; 22 fills no batch."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, num_examples)
    shape = [num_examples, image_size, image_size, 3]
    pixels = (
        generator.integers(0, 150, shape) + 80 * labels[:, None, None, None]
    )
    names = np.arange(num_examples).astype(str)

    def sources():
        images = tf.data.Dataset.from_tensor_slices(pixels.astype(np.uint8))
        return images.map(tf.io.encode_png)

    return data.Split(
        name="train",
        image_ids=names,
        patients=names,
        labels=labels,
        example_ids=np.arange(num_examples),
        sources=sources,
    )


def train(spec, strategy, num_steps=NUM_STEPS, cache_bytes=1e9):
    """Trains from a random start; returns weights, losses and predictions."""
    program = training.Program(spec, strategy)
    initialization.initialize(program.staged, "random", seed=0)
    program.reset_optimizer()
    reader = data.SplitReader(
        noisy_split(spec.image_size), spec.image_size, cache_bytes=cache_bytes
    )
    sums = []
    for batch in program.train_batches(reader, seed=0, num_steps=num_steps):
        program.train_step(batch, 1e-3)
        sums.append(float(program.loss_sum.numpy()))
    weights = {
        name: variable.numpy()
        for name, variable in program.staged.variables().items()
    }
    return weights, np.diff([0, *sums]), program.predict(reader)


def assert_close(ours, theirs, tolerance):
    assert ours.keys() == theirs.keys()
    for name, values in theirs.items():
        np.testing.assert_allclose(
            ours[name], values, rtol=0, atol=tolerance, err_msg=name
        )


@pytest.mark.parametrize(
    ("optimizer", "cache_bytes"), [("sgd", 0), ("adam", 1e9)]
)
def test_two_replicas_are_one_device(optimizer, cache_bytes):
    spec = spec_of(optimizer=optimizer)
    one, losses, (ids, logits) = train(spec, tf.distribute.get_strategy())
    assert losses[-3:].mean() < losses[:3].mean()
    two, losses_of_two, (ids_of_two, logits_of_two) = train(
        spec, two_replicas(), cache_bytes=cache_bytes
    )
    assert {values.dtype for values in one.values()} == {np.dtype("float64")}
    assert_close(two, one, 1e-9)
    np.testing.assert_allclose(losses_of_two, losses, rtol=1e-9)
    np.testing.assert_array_equal(ids_of_two, ids)
    np.testing.assert_allclose(logits_of_two, logits, atol=1e-8)


def test_in_float32_the_losses_of_ten_steps_are_close():
    spec = spec_of(precision="float32")
    _, one, _ = train(spec, tf.distribute.get_strategy(), num_steps=10)
    _, two, _ = train(spec, two_replicas(), num_steps=10)
    np.testing.assert_allclose(two, one, atol=1e-4)


def test_statistics_of_each_replica_are_another_computation():
    spec = spec_of(batch_statistics="per_replica")
    one, *_ = train(spec, tf.distribute.get_strategy(), num_steps=2)
    two, *_ = train(spec, two_replicas(), num_steps=2)
    name = "conv1_bn/moving_variance"
    assert np.abs(two[name] - one[name]).max() > 1e-6


def test_stages_are_captured_as_on_one_device():
    captured = []
    for strategy in (tf.distribute.get_strategy(), two_replicas()):
        program = training.Program(spec_of(), strategy)
        initialization.initialize(program.staged, "random", seed=0)
        capture = analysis.StageActivations(program)
        reader = data.SplitReader(noisy_split(32), 32)
        captured.append(capture(reader, num_images=9))
        assert len(captured[-1]["conv1"]) == 9
    assert_close(*captured, 1e-5)


def test_batch_norm_is_estimated_anew_as_on_one_device():
    moving = []
    for strategy in (tf.distribute.get_strategy(), two_replicas()):
        program = training.Program(spec_of(), strategy)
        initialization.initialize(program.staged, "random", seed=0)
        program.recalibrate_batch_norm(
            data.SplitReader(noisy_split(32), 32), num_images=16
        )
        moving.append(
            {k: v.numpy() for k, v in program.staged.variables().items()}
        )
    assert moving[0]["conv1_bn/moving_variance"].min() != 1
    assert_close(*moving, 1e-9)


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("cache_bytes", [1e9, 0], ids=["cached", "streamed"])
def test_the_parts_of_workers_make_up_each_batch(count, cache_bytes):
    reader = data.SplitReader(fake_split(11), 8, cache_bytes=cache_bytes)

    def batches_of(part):
        train = reader.train_batches(
            seed=0, batch_size=4, first_step=6, num_steps=7, part=part
        )
        evaluated = reader.evaluation_batches(4, part)
        return [list(b.as_numpy_iterator()) for b in (train, evaluated)]

    whole = batches_of(data.Part())
    parts = [batches_of(data.Part(index, count)) for index in range(count)]
    for kind in range(2):
        assert len(whole[kind]) == (7, 6)[kind]
        for place, batch in enumerate(whole[kind]):
            for name, values in batch.items():
                ours = [part[kind][place][name] for part in parts]
                np.testing.assert_array_equal(np.concatenate(ours), values)
        assert {len(part[kind]) for part in parts} == {len(whole[kind])}


@pytest.mark.full
@pytest.mark.parametrize("name", models.MODEL_NAMES)
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_step_of_every_model_is_the_same_on_two_replicas(name, optimizer):
    """One step: a deep network multiplies rounding a hundredfold at each."""
    size = 75 if name == "inception_v3" else 64
    spec = spec_of(
        model=name, image_size=size, batch_size=8, optimizer=optimizer
    )
    one, losses, _ = train(spec, tf.distribute.get_strategy(), num_steps=1)
    two, losses_of_two, _ = train(spec, two_replicas(), num_steps=1)
    np.testing.assert_allclose(losses_of_two, losses, rtol=1e-9)
    assert_close(two, one, 1e-9)

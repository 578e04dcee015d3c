"""How much of a bare training step's rate the trainer's steps reach.

python -m tests.benchmarks.training

Reference: a `tf.function` of forward, backward and Adam on one batch that
stays in memory, nothing else. Ours: `Program.train_step` on the batches that
`SplitReader` deals out of its cache: shuffled, drawn for, augmented,
normalized. Evaluation and checkpoints are left out of both.
"""

import keras
import numpy as np
import tensorflow as tf

from tests.benchmarks import ratios
from transfusion_tf import data, initialization, models, training

BATCH_SIZE = 32
STEPS_A_BLOCK = 16
CASES = (("cbr_tiny", 64), ("efficientnet_lite0", 64))


def random_split(num_examples: int, image_size: int) -> data.Split:
    """Images of noise, each its own patient."""
    generator = np.random.default_rng(0)
    shape = [num_examples, image_size, image_size, 3]
    pixels = generator.integers(0, 256, shape).astype(np.uint8)
    names = np.arange(num_examples).astype(str)

    def sources() -> tf.data.Dataset:
        images = tf.data.Dataset.from_tensor_slices(pixels)
        return images.map(tf.io.encode_png)

    return data.Split(
        name="train",
        image_ids=names,
        patients=names,
        labels=generator.integers(0, 5, num_examples),
        example_ids=np.arange(num_examples),
        sources=sources,
    )


def bare_step(name: str, image_size: int):
    """Returns a function that does one step on a batch in memory."""
    shape = (image_size, image_size, 3)
    model = models.build(name, num_outputs=5, image_shape=shape).model
    optimizer = keras.optimizers.Adam(1e-3)
    optimizer.build(model.trainable_variables)
    images = tf.random.stateless_normal([BATCH_SIZE, *shape], seed=[0, 0])
    labels = tf.zeros([BATCH_SIZE], tf.int64)

    @tf.function(autograph=False)
    def step():
        with tf.GradientTape() as tape:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
                labels=labels, logits=model(images, training=True)
            )
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return loss

    return step


def compare(name: str, image_size: int) -> tuple[float, float, float]:
    """Returns the ratio of rates with its interval."""
    step = bare_step(name, image_size)
    spec = training.ProgramSpec(
        model=name,
        num_outputs=5,
        loss="softmax",
        image_size=image_size,
        batch_size=BATCH_SIZE,
        optimizer="adam",
        augmentation="flips",
        preprocessing=None,
        batch_norm_momentum=0.9,
        jit_compile=False,
    )
    program = training.Program(spec, training.make_strategy("default"))
    initialization.initialize(program.staged, "random", seed=0)
    reader = data.SplitReader(
        random_split(BATCH_SIZE * STEPS_A_BLOCK, image_size), image_size
    )
    epochs = iter(range(1000))

    def reference() -> None:
        for _ in range(STEPS_A_BLOCK):
            loss = step()
        loss.numpy()

    def ours() -> None:
        batches = reader.train_batches(
            seed=0, epoch=next(epochs), batch_size=BATCH_SIZE
        )
        for batch in batches:
            program.train_step(batch, 1e-3)
        program.loss_sum.numpy()

    return ratios.paired_ratio(ours, reference)


def main() -> None:
    """Prints a line a case."""
    print("model, pixels: rate of ours / rate of a bare step [95 %]")
    for name, image_size in CASES:
        ratio, low, high = compare(name, image_size)
        print(f"{name}, {image_size}: {ratio:.3f} [{low:.3f}, {high:.3f}]")


if __name__ == "__main__":
    main()

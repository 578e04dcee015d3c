"""How much of a bare training step's rate the trainer reaches.

python -m tests.benchmarks.training results/training.md

Steps: `Program.train_step` on the batches that `SplitReader` deals out of its
cache, epoch after epoch: shuffled, drawn for, augmented, normalized. A bare
step: a `tf.function` of forward, backward and Keras' Adam on one batch that
stays in memory, nothing else. Ours updates each weight by one operation, Keras'
by a dozen; that is how a large network can come out above 1.

Run: the training seconds of a whole run by `Trainer.train` whose program is
compiled, with checkpoints, metrics and progress at their default intervals: an
epoch, which has as many steps as that of the photographs in results/;
predicting the validation split is left out. Fit: an epoch of `keras.Model.fit`
on the same batches, augmented and normalized in the same way. Two devices: two
logical CPU devices with batch norm over both, on the same batch as one device.

Ratios of rates, timed in turn in one process: above 1 ours is faster.
"""

import dataclasses
import itertools
import os
import pathlib
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf

from tests.benchmarks import ratios
from transfusion_tf import data, initialization, models, training

BATCH_SIZE = 32
STEPS_A_BLOCK = 16
CASES = (("cbr_tiny", 64), ("cbr_large_t", 64), ("efficientnet_lite0", 64))


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


def spec_of(
    name: str, image_size: int, batch_size: int = BATCH_SIZE
) -> training.ProgramSpec:
    return training.ProgramSpec(
        model=name,
        num_outputs=5,
        loss="softmax",
        image_size=image_size,
        batch_size=batch_size,
        optimizer="adam",
        augmentation="flips",
        preprocessing=None,
        batch_norm_momentum=0.9,
        jit_compile=False,
    )


def program_of(
    name: str, image_size: int, strategy: tf.distribute.Strategy | None = None
) -> training.Program:
    program = training.Program(
        spec_of(name, image_size), strategy or tf.distribute.get_strategy()
    )
    initialization.initialize(program.staged, "random", seed=0)
    return program


class Blocks:
    """Blocks of training steps on a cached split, an epoch each."""

    def __init__(self, image_size: int):
        split = random_split(BATCH_SIZE * STEPS_A_BLOCK, image_size)
        self.reader = data.SplitReader(split, image_size)
        self._first_steps = itertools.count(step=STEPS_A_BLOCK)

    def of_program(self, program: training.Program) -> Callable[[], None]:
        """Returns what does the next block of its steps, as a run does."""
        batches = iter(
            program.train_batches(self.reader, seed=0, num_steps=10**6)
        )

        def block() -> None:
            for batch in itertools.islice(batches, STEPS_A_BLOCK):
                program.train_step(batch, 1e-3)
            program.loss_sum.numpy()

        return block

    def of_fit(self, model: keras.Model, preprocessing: str) -> None:
        def prepared(batch):
            images = data.augment(batch["image"], batch["draws"], "flips")
            return data.normalize(images, preprocessing), batch["label"]

        batches = self.reader.train_batches(
            seed=0, batch_size=BATCH_SIZE, first_step=next(self._first_steps)
        )
        model.fit(batches.map(prepared), verbose=0)


def compare_steps(name: str, image_size: int) -> tuple[float, float, float]:
    step = bare_step(name, image_size)
    program, blocks = program_of(name, image_size), Blocks(image_size)

    def reference() -> None:
        for _ in range(STEPS_A_BLOCK):
            loss = step()
        loss.numpy()

    return ratios.paired_ratio(blocks.of_program(program), reference)


def compare_fit(name: str, image_size: int) -> tuple[float, float, float]:
    program, blocks = program_of(name, image_size), Blocks(image_size)
    shape = (image_size, image_size, 3)
    staged = models.build(name, num_outputs=5, image_shape=shape)
    staged.model.compile(
        keras.optimizers.Adam(1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    return ratios.paired_ratio(
        blocks.of_program(program),
        lambda: blocks.of_fit(staged.model, staged.preprocessing),
    )


def compare_run(name: str, image_size: int) -> tuple[float, float, float]:
    step = bare_step(name, image_size)
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        write_folders(root / "images", image_size)
        config = training.TrainConfig(
            model=name,
            task=f"folder:{root / 'images'}",
            image_size=image_size,
            batch_size=BATCH_SIZE,
            num_epochs=2,
        )
        trainer, seeds = training.Trainer(), iter(range(1000))
        num_steps = 2 * trainer.data(config).train.train_steps_per_epoch(
            BATCH_SIZE
        )

        def ours() -> float:
            seed = next(seeds)
            result = trainer.train(
                dataclasses.replace(config, seed=seed), root / str(seed)
            )
            return result["seconds"]["train"]

        def reference() -> None:
            for _ in range(num_steps):
                loss = step()
            loss.numpy()

        return ratios.paired_ratio(ours, reference, num_pairs=6)


def write_folders(root: pathlib.Path, image_size: int) -> None:
    """Images of noise in class folders, 44 full batches to train on."""
    generator = np.random.default_rng(0)
    for split, count in (("train", 790), ("test", 8)):
        for label in ("a", "b"):
            folder = root / split / label
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = generator.integers(0, 256, [image_size] * 2 + [3])
                encoded = tf.io.encode_png(pixels.astype(np.uint8))
                (folder / f"{number}.png").write_bytes(encoded.numpy())


def compare_devices(name: str, image_size: int) -> tuple[float, float, float]:
    blocks = Blocks(image_size)
    two = program_of(
        name, image_size, tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    )
    one = program_of(name, image_size)
    return ratios.paired_ratio(blocks.of_program(two), blocks.of_program(one))


PAGE = """# How fast training is

Written by `python -m tests.benchmarks.training results/training.md`. Made with
TensorFlow {tensorflow}, Keras {keras}, on {machine}. GPUs and TPUs: not run;
the target there, 0.9 of a bare step compiled by XLA on one GPU, is not
measured by anyone yet.

{explained}

Medians with 95 % intervals by order statistics.

| what | ratio of rates | target |
|---|---|---|
{rows}
"""
# By row the least ratio that is wanted, and what measures it.
ROWS = {
    "steps / bare step": ("0.97", compare_steps),
    "run / bare step": ("0.93", compare_run),
    "steps / fit": ("0.98", compare_fit),
}


def measured_rows() -> Iterator[str]:
    """Yields a row of the page a case, and prints it."""
    cases = [
        (f"{row}, {name}, {size} px", target, compare, name, size)
        for row, (target, compare) in ROWS.items()
        for name, size in CASES
    ]
    two = "two logical devices / one, cbr_tiny, 64 px"
    cases.append((two, "", compare_devices, "cbr_tiny", 64))
    for what, target, compare, name, size in cases:
        ratio, low, high = compare(name, size)
        text = f"{ratio:.3f} [{low:.3f}, {high:.3f}]"
        print(f"{what}: {text}", flush=True)
        yield f"| {what} | {text} | {target and f'at least {target}'} |"


def main() -> None:
    """Prints a line a case, and writes the page where a path is given."""
    training.prepare_runtime(0, num_cpu_devices=2)
    print("rate of ours / rate of the reference [95 %]")
    page = PAGE.format(
        tensorflow=tf.__version__,
        keras=keras.__version__,
        # What stands above, from its second paragraph on.
        explained=(__doc__ or "").split("\n\n", 2)[2].strip(),
        machine=f"{platform.machine()}, {os.cpu_count()} cores",
        rows="\n".join(measured_rows()),
    )
    if len(sys.argv) > 1:
        pathlib.Path(sys.argv[1]).write_text(page)


if __name__ == "__main__":
    main()

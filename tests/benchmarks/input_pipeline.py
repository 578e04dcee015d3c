"""How near reading comes to the rate of the JPEG decoder.

python -m tests.benchmarks.input_pipeline

Photographs of 587 x 587 pixels, prepared as a user's folder is, batch 8, both
cores. Reference: `decode_jpeg` of the same bytes from memory, as parallel as
ours; nothing is read from disk, shuffled, put into batches or kept. Ours:

read: files read, shuffled, decoded, put into batches, random numbers drawn,
    which is what a training step takes: it flips and crops on its device;
read, flip and crop: besides, what the step then does, on the same two cores;
cached: whole epochs of 3,000 images kept decoded in memory, against read.

Blocks of an epoch that goes on, each begun by batches that are not timed: they
were made while the other side worked. What the start of an epoch costs, to fill
the buffer that is shuffled, stands apart.
"""

import dataclasses
import itertools
import pathlib
import tempfile
import time
from collections.abc import Callable

import numpy as np
import PIL.Image
import skimage.data
import tensorflow as tf

import transfusion_datasets
from tests.benchmarks import ratios
from transfusion_tf import data
from transfusion_tf.data import augmentation
from transfusion_tf.raw import images

IMAGE_SIZE = 587
BATCH_SIZE = 8
NUM_IMAGES = 640
REPEATED = 400  # An epoch reads each file so often: it does not end.
NUM_CACHED = 3000
UNTIMED_BATCHES, TIMED_BATCHES = 16, 96
DATASET = "transfusion_image_folder/original"


def write_photographs(root: pathlib.Path) -> None:
    """A real fundus photograph, turned by as many angles as images."""
    retina = PIL.Image.fromarray(skimage.data.retina())
    photograph = retina.resize([IMAGE_SIZE, IMAGE_SIZE])
    angles = np.linspace(0, 360, NUM_IMAGES, endpoint=False)
    for place, angle in enumerate(angles):
        path = root / "ab"[place % 2] / f"{place}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(images.encode_jpeg(photograph.rotate(angle)))


def open_train(raw_dir: pathlib.Path, data_dir: pathlib.Path) -> data.Split:
    """Prepares the folder and opens its train split."""
    transfusion_datasets.prepare(DATASET, manual_dir=raw_dir, data_dir=data_dir)
    task = data.open_task(f"tfds:{DATASET}", data_dir=str(data_dir))
    split = data.open_split(task, "train", data_dir=str(data_dir))
    return dataclasses.replace(
        split,
        image_ids=np.tile(split.image_ids, REPEATED),
        patients=np.tile(split.patients, REPEATED),
        labels=np.tile(split.labels, REPEATED),
        example_ids=np.arange(split.num_examples * REPEATED),
        columns={},
        sources=lambda: split.sources().repeat(REPEATED),
    )


def decode_alone(split: data.Split) -> Callable[[], None]:
    """Decodes as many images as a block has, and does nothing else."""
    sources = split.sources().take(split.num_examples // REPEATED)
    encoded = list(sources.map(split.encoded_image).as_numpy_iterator())
    decoded = (
        tf.data.Dataset.from_tensor_slices(encoded)
        .repeat()
        .map(
            lambda image: tf.io.decode_jpeg(image, channels=3),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
    )
    num_images = TIMED_BATCHES * BATCH_SIZE

    def work() -> None:
        # Counted in C++, so that Python costs the reference nothing.
        decoded.take(num_images).reduce(0, lambda count, _: count + 1)

    return work


@tf.function(autograph=False, jit_compile=True)
def flip_and_crop(images: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
    """What the step does before it makes numbers of pixels."""
    recipe = augmentation._RECIPES["flips_and_crop"]
    return augmentation._moved(images, draws, recipe)


class Epoch:
    """Reads on in an epoch, up to where a step can take the batches."""

    def __init__(self, reader: data.SplitReader, *, is_augmented: bool = False):
        """Begins the epoch; `start_seconds` tells how long its start took."""
        started = time.perf_counter()
        self._batches = iter(
            reader.train_batches(seed=0, batch_size=BATCH_SIZE)
        )
        next(self._batches)
        self.start_seconds = time.perf_counter() - started
        self._is_augmented = is_augmented

    def __call__(self) -> float:
        """Reads a block and returns its seconds."""
        for _ in range(UNTIMED_BATCHES):
            next(self._batches)
        started = time.perf_counter()
        for _ in range(TIMED_BATCHES):
            batch = next(self._batches)
            if self._is_augmented:
                moved = flip_and_crop(batch["image"], batch["draws"])
        if self._is_augmented:
            moved.numpy()
        return time.perf_counter() - started


class CachedEpochs:
    """Reads whole epochs of images that are kept decoded."""

    def __init__(self, split: data.Split):
        """Fills the cache."""
        self._reader = data.SplitReader(split, IMAGE_SIZE)
        self._first_steps = itertools.count(
            step=self._reader.train_steps_per_epoch(BATCH_SIZE)
        )
        self()

    def __call__(self) -> float:
        """Reads an epoch, its start included; returns a block's seconds."""
        started = time.perf_counter()
        num_batches = 0
        for _ in self._reader.train_batches(
            seed=0, batch_size=BATCH_SIZE, first_step=next(self._first_steps)
        ):
            num_batches += 1
        seconds = time.perf_counter() - started
        return seconds * TIMED_BATCHES / num_batches


def main() -> None:
    """Prints a line a case."""
    with tempfile.TemporaryDirectory() as root:
        raw_dir, data_dir = (
            pathlib.Path(root, "raw"),
            pathlib.Path(root, "data"),
        )
        write_photographs(raw_dir)
        split = open_train(raw_dir, data_dir)
        uncached = data.SplitReader(split, IMAGE_SIZE, cache_bytes=0)
        read, decode = Epoch(uncached), decode_alone(split)
        print(f"start of an epoch: {read.start_seconds:.2f} s", flush=True)
        show("read / decode alone", read, decode)
        augmented = Epoch(uncached, is_augmented=True)
        show("read, flip and crop / decode alone", augmented, decode)
        that_fit = split.take(np.arange(NUM_CACHED))
        show("cached / read", CachedEpochs(that_fit), read)


def show(name: str, ours: Callable, reference: Callable) -> None:
    """Prints a ratio of rates with its interval."""
    ratio, low, high = ratios.paired_ratio(ours, reference)
    print(f"{name}: {ratio:.3f} [{low:.3f}, {high:.3f}]", flush=True)


if __name__ == "__main__":
    main()

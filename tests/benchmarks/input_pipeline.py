"""How near reading comes to the rate of the JPEG decoder.

python -m tests.benchmarks.input_pipeline

Photographs of 587 x 587 pixels, prepared as a user's folder is, batch 8, both
cores. Reference: `decode_jpeg` of the same bytes from memory, as parallel as
ours; nothing is read from disk, shuffled, put into batches or kept. Ours:

read: files read, shuffled, decoded, put into batches, random numbers drawn;
read and augment: flipped and cropped besides, as the step does on its device;
cached: as read, from decoded images in memory, against the uncached reading.
"""

import pathlib
import tempfile
from collections.abc import Callable

import numpy as np
import PIL.Image
import skimage.data
import tensorflow as tf

import transfusion_datasets
from tests.benchmarks import ratios
from transfusion_tf import data
from transfusion_tf.raw import images

IMAGE_SIZE = 587
BATCH_SIZE = 8
NUM_IMAGES = 640
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
    return data.open_split(task, "train", data_dir=str(data_dir))


def decode_alone(split: data.Split) -> Callable[[], None]:
    """Decodes as many images as an epoch has, and does nothing else."""
    encoded = list(split.sources().map(split.encoded_image).as_numpy_iterator())
    decoded = tf.data.Dataset.from_tensor_slices(encoded).map(
        lambda image: tf.io.decode_jpeg(image, channels=3),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    num_images = len(encoded) // BATCH_SIZE * BATCH_SIZE

    def work() -> None:
        # Counted in C++, so that Python costs the reference nothing.
        decoded.take(num_images).reduce(0, lambda count, _: count + 1)

    return work


def an_epoch(
    reader: data.SplitReader, augmentation: str | None
) -> Callable[[], None]:
    """Reads an epoch up to the point where a step can take the batches."""
    epochs = iter(range(1_000_000))

    def work() -> None:
        for batch in reader.train_batches(
            seed=0, epoch=next(epochs), batch_size=BATCH_SIZE
        ):
            if augmentation is not None:
                data.augment(batch["image"], batch["draws"], augmentation)

    return work


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
        cached = data.SplitReader(split, IMAGE_SIZE)
        decode, read = decode_alone(split), an_epoch(uncached, None)
        for name, ours, reference in (
            ("read / decode alone", read, decode),
            (
                "read and augment / decode alone",
                an_epoch(uncached, "flips_and_crop"),
                decode,
            ),
            ("cached / read", an_epoch(cached, None), read),
        ):
            ratio, low, high = ratios.paired_ratio(ours, reference)
            print(f"{name}: {ratio:.3f} [{low:.3f}, {high:.3f}]", flush=True)


if __name__ == "__main__":
    main()

"""How long a million records take from their directory to the first batch.

python -m tests.benchmarks.opening

Images of 8 x 8 pixels, in 16 files. The data set is made first, outside of
what is measured; each opening is a process of its own, whose seconds are those
between having imported the library and having the first training batch, with
the checks that training makes: no patient in two splits, every label in range.
The reference for memory is a set a tenth as large.
"""

import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from transfusion_tf import data
from transfusion_tf.raw import images

COUNTS = (100_000, 1_000_000)
NUM_SHARDS = 16
OPEN = """
import resource, sys, time
from transfusion_tf import training
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
config = training.TrainConfig(
    task="tfds:many", data_dir=sys.argv[1], image_size=8, cache_gigabytes=0)
started, before = time.monotonic(), peak()
run_data = training.Trainer().data(config)
run_data.check_disjoint()
opened = time.monotonic() - started
next(iter(run_data.train.train_batches(seed=0, batch_size=8)))
print(opened, time.monotonic() - started, before, peak())
"""


def write(data_dir: pathlib.Path, count: int) -> None:
    """Writes a data set of tfds with splits of 80, 10 and 10 %."""
    rng = np.random.default_rng(0)
    encoded = [
        images.encode_jpeg(rng.integers(0, 256, (8, 8, 3), np.uint8))
        for _ in range(100)
    ]
    directory = data_dir / "many" / "1.0.0"
    directory.mkdir(parents=True)
    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(encoding_format="jpeg"),
            "label": tfds.features.ClassLabel(num_classes=5),
            "image_id": tfds.features.Text(),
            "patient_id": tfds.features.Text(),
        }
    )
    split_infos = []
    template = tfds.core.ShardedFileTemplate(
        dataset_name="many",
        data_dir=directory,
        filetype_suffix="tfrecord",
    )
    number = 0
    for name, share in (("train", 0.8), ("validation", 0.1), ("test", 0.1)):
        lengths = [int(count * share) // NUM_SHARDS] * NUM_SHARDS
        split = tfds.core.SplitInfo(
            name=name,
            shard_lengths=lengths,
            num_bytes=0,
            filename_template=template.replace(split=name),
        )
        split_infos.append(split)
        for path, length in zip(split.filepaths, lengths, strict=True):
            with tf.io.TFRecordWriter(str(path)) as writer:
                for _ in range(length):
                    example = {
                        "image": encoded[number % 100],
                        "label": number % 5,
                        "image_id": f"image{number:07d}",
                        "patient_id": f"patient{number // 2:07d}",
                    }
                    writer.write(features.serialize_example(example))
                    number += 1
    tfds.folder_dataset.write_metadata(
        data_dir=directory,
        features=features,
        split_infos=split_infos,
        filename_template=template,
    )
    data.write_index(tfds.builder_from_directory(directory).info, directory)


def main() -> None:
    """Prints a line a size."""
    for count in COUNTS:
        with tempfile.TemporaryDirectory() as directory:
            write(pathlib.Path(directory), count)
            printed = subprocess.run(
                [sys.executable, "-c", OPEN, directory],
                check=True,
                stdout=subprocess.PIPE,
                text=True,
            ).stdout
        opened, first, before, peak = map(float, printed.split())
        print(
            f"{count} records: opened in {opened:.1f} s, first batch after "
            f"{first:.1f} s; memory grew by {peak - before:.0f} MB, "
            f"{1e6 * (peak - before) / count:.0f} bytes a record"
        )


if __name__ == "__main__":
    main()

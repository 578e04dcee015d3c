r"""Prepares a data set: raw files in, records of a fixed form out, once.

python -m launch.prepare_data --dataset=transfusion_synthetic_fundus/n64 \
    --data_dir=data
python -m launch.prepare_data --dataset=transfusion_eyepacs/circle299 \
    --manual_dir=raw/eyepacs --data_dir=data
"""

from collections.abc import Sequence

import tensorflow_datasets as tfds
from absl import flags, logging

import transfusion_datasets
from launch import cli
from transfusion_tf import data

_DATASET = flags.DEFINE_string(
    "dataset",
    None,
    "Data set, or data set and configuration, for example "
    "transfusion_synthetic_fundus/n64 or transfusion_eyepacs/circle299, in "
    "which the field of view has a diameter of 299 pixels.",
    required=True,
)
_MANUAL_DIR = flags.DEFINE_string(
    "manual_dir",
    None,
    "Directory of raw files, for data sets that must be fetched by hand. "
    "transfusion_eyepacs: the one that holds train/ and trainLabels.csv.",
)
_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Directory of prepared data sets.", required=True
)


def main(argv: Sequence[str]) -> None:
    """Prepares what the flags name and prints the split report.

    Args:
        argv: What absl left of the command line.

    Raises:
        ValueError: If a flag or the raw files are wrong.
    """
    del argv  # cli.run refuses leftovers.
    if not flags.FLAGS["verbosity"].present:
        logging.set_verbosity(logging.ERROR)  # tfds tells much at length.
    name, data_dir = _DATASET.value, _DATA_DIR.value
    if transfusion_datasets.is_prepared(name, data_dir=data_dir):
        print(f"{name} is already prepared in {data_dir}.")
    builder = transfusion_datasets.prepare(
        name, data_dir=data_dir, manual_dir=_MANUAL_DIR.value
    )
    report = transfusion_datasets.split_report(builder)
    print(f"\n{builder.info.full_name} in {builder.data_path}\n")
    print(transfusion_datasets.format_split_report(report))
    print(f"\nNext: {_next_command(builder)} --data_dir={data_dir}")


def _next_command(builder: tfds.core.DatasetBuilder) -> str:
    """Says how to train on the data set."""
    tasks = [data.task(name) for name in data.TASK_NAMES]
    task = next(task for task in tasks if task.dataset == builder.name)
    config = builder.builder_config
    return (
        f"python -m launch.train --task={task.name} "
        f"--dataset_config={config.name} --image_size={config.image_size}"
    )


if __name__ == "__main__":
    cli.run(main)

r"""Prepares a data set: raw files in, records of a fixed form out, once.

python -m launch.prepare_data --dataset=transfusion_eyepacs/circle299 \
    --manual_dir=raw/eyepacs --data_dir=data
python -m launch.prepare_data --dataset=transfusion_eyepacs/circle299 \
    --manual_dir=raw/eyepacs --check
"""

import sys
from collections.abc import Sequence

from absl import flags

import transfusion_datasets
from launch import cli, progress_bar

_DATASET = flags.DEFINE_string(
    "dataset",
    None,
    "Data set and configuration, for example transfusion_eyepacs/circle299, "
    "fields of view of 299 pixels. tfds:NAME for what tfds itself prepared.",
    required=True,
)
_MANUAL_DIR = flags.DEFINE_string(
    "manual_dir", None, "Directory of raw files; see the data set's README."
)
_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Directory of prepared data sets; not with --check."
)
_CHECK = flags.DEFINE_bool(
    "check",
    False,
    "List everything that is wrong with --manual_dir and write nothing.",
)
_ON_BAD = flags.DEFINE_enum(
    "on_bad",
    "raise",
    ["raise", "skip"],
    "At an unusable example: stop, or leave it out, up to --max_bad times, and "
    "list it in rejected.jsonl.",
)
_MAX_BAD = flags.DEFINE_integer(
    "max_bad", None, "With --on_bad=skip, the most examples to leave out."
)
_BEAM_RUNNER = flags.DEFINE_string(
    "beam_runner",
    None,
    "Runner of Apache Beam (pip install transfusion_tf[beam]), such as "
    "DirectRunner. Default: the cores of this machine.",
)


def main(argv: Sequence[str]) -> None:
    """Prepares what the flags name and prints the split report.

    Args:
        argv: What absl left of the command line.

    Raises:
        ValueError: If a flag or the raw files are wrong.
    """
    del argv  # cli.run refuses leftovers.
    if _CHECK.value:
        _check()
    else:
        _prepare()


def _check() -> None:
    with progress_bar.ProgressBar("image") as progress:
        found = transfusion_datasets.check(
            _DATASET.value, manual_dir=_MANUAL_DIR.value, progress=progress
        )
    for number, error in enumerate(found, start=1):
        print(f"{number}. {error}")
    if found:
        num_bad = sum(error.count for error in found)
        sys.exit(f"{len(found)} problems with {num_bad} examples or files.")
    print(f"Nothing is wrong with {_MANUAL_DIR.value or _DATASET.value}.")


def _prepare() -> None:
    name, data_dir = _DATASET.value, _DATA_DIR.value
    if data_dir is None:
        raise ValueError(
            "Where to put the prepared data? Received: no --data_dir. Use "
            "--data_dir=DIR, or --check to look at the raw files only."
        )
    if transfusion_datasets.is_prepared(name, data_dir=data_dir):
        print(f"{name} is already prepared in {data_dir}.")
    with progress_bar.ProgressBar("image") as progress:
        builder = transfusion_datasets.prepare(
            name,
            data_dir=data_dir,
            manual_dir=_MANUAL_DIR.value,
            on_bad=_ON_BAD.value,
            max_bad=_MAX_BAD.value,
            beam_runner=_BEAM_RUNNER.value,
            progress=progress,
        )
    print(f"\n{builder.info.full_name} in {builder.data_path}\n")
    report = transfusion_datasets.split_report(builder)
    print(transfusion_datasets.format_split_report(report))
    command = transfusion_datasets.train_command(builder)
    print(f"\nNext: {command} --data_dir={data_dir}")


if __name__ == "__main__":
    cli.run(main)

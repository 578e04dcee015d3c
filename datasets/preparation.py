"""From a name to a prepared data set on disk, and its split report."""

import contextlib
import errno
import importlib
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow as tf
import tensorflow_datasets as tfds
from etils import epath

from transfusion_datasets import builder as builder_lib
from transfusion_tf import data, records
from transfusion_tf.raw import errors

FOREIGN = "tfds:"
ON_BAD = ("raise", "skip")
_NAMES = (
    "transfusion_aptos",
    "transfusion_chexpert",
    "transfusion_eyepacs",
    "transfusion_idrid",
    "transfusion_image_folder",
    "transfusion_messidor2",
    "transfusion_synthetic_cxr",
    "transfusion_synthetic_fundus",
    "transfusion_tfrecord",
)


def data_set_names() -> tuple[str, ...]:
    """Lists the data sets that `prepare` knows.

    Example:
    >>> "transfusion_eyepacs" in data_set_names()
    True
    """
    return _NAMES


def needs_manual_dir(name: str) -> bool:
    """Tells whether a data set is made of raw files that the user has.

    Args:
        name: See `prepare`.

    Example:
    >>> needs_manual_dir("transfusion_synthetic_fundus/n64")
    False
    """
    if name.startswith(FOREIGN):
        return False
    data_set = name.partition("/")[0]
    return bool(_builder_class(data_set).MANUAL_DOWNLOAD_INSTRUCTIONS)


def prepare(
    name: str,
    *,
    data_dir: epath.PathLike,
    manual_dir: epath.PathLike | None = None,
    on_bad: str = "raise",
    max_bad: int | None = None,
    beam_runner: str | None = None,
    progress: builder_lib.Progress | None = None,
) -> tfds.core.DatasetBuilder:
    """Builds a data set unless it is there already.

    Nothing is left under the final name when it fails.

    Args:
        name: `NAME` or `NAME/CONFIG`, for example `transfusion_eyepacs` or
            `transfusion_eyepacs/circle112`; or `tfds:NAME[/CONFIG]` for a
            data set that tfds has prepared in `data_dir`, which is read once
            so that it can be opened.
        data_dir: Where prepared data sets are kept.
        manual_dir: Where the raw files are, for those that need them.
        on_bad: What to do with an unusable example: "raise", or "skip" it
            and list it in `rejected.jsonl`.
        max_bad: With "skip", the most examples to skip, at least 1.
        beam_runner: Name of a runner of Apache Beam, such as
            "DirectRunner"; `None` uses the cores of this machine.
        progress: Told of what is done, if anyone is to be.

    Returns:
        The builder, which reads the prepared data.

    Raises:
        errors.DataError: If the name is unknown, `data_dir` cannot be
            written, or the raw files are not as they should be.
        ValueError: If the options do not go together.
    """
    _check_options(on_bad, max_bad, beam_runner)
    if name.startswith(FOREIGN):
        return _index_foreign(name, data_dir)
    builder = prepared_builder(name, data_dir=data_dir)
    if builder.is_prepared():
        if not (builder.data_path / data.MANIFEST).exists():
            data.write_index(builder.info, builder.data_path)
        return builder
    _check_writable(epath.Path(data_dir))
    root = _manual_root(builder, manual_dir)
    builder.progress = progress
    with contextlib.ExitStack() as stack:
        stack.enter_context(_naming_full_disk(data_dir))
        if on_bad == "skip":
            builder.rejected = stack.enter_context(
                errors.collecting(max_skipped=max_bad)
            )
        try:
            builder.download_and_prepare(
                download_config=tfds.download.DownloadConfig(
                    manual_dir=root,
                    try_download_gcs=False,
                    beam_runner=beam_runner,
                )
            )
        except FileExistsError:
            # Another process, a second worker say, was done first.
            builder = prepared_builder(name, data_dir=data_dir)
            if not builder.is_prepared():
                raise
    return builder


def check(
    name: str,
    *,
    manual_dir: epath.PathLike | None = None,
    progress: builder_lib.Progress | None = None,
) -> list[errors.DataError]:
    """Finds everything that is wrong with raw files; writes nothing.

    Every image is decoded and processed as `prepare` would.

    Args:
        name: See `prepare`.
        manual_dir: Where the raw files are, for those that need them.
        progress: Told of what is done, if anyone is to be.

    Returns:
        What is wrong, in the order in which it was found.

    Raises:
        errors.DatasetNameError: If data set or configuration is unknown.
    """
    with (
        tempfile.TemporaryDirectory() as nowhere,
        errors.collecting() as found,
    ):
        builder = prepared_builder(name, data_dir=nowhere)
        try:
            root = _manual_root(builder, manual_dir)
            parts = builder.parts(root)
        except errors.DataError as error:
            found.append(error)
            return found
        builder_lib.check_examples(parts, builder.processor(), progress)
    return found


def _check_options(
    on_bad: str, max_bad: int | None, beam_runner: str | None
) -> None:
    if on_bad not in ON_BAD:
        raise ValueError(
            f"There is no such way to treat bad examples. Received: on_bad="
            f"{on_bad!r}. Use --on_bad=raise or --on_bad=skip."
        )
    is_capped = max_bad is not None and max_bad >= 1
    if (on_bad == "skip") != is_capped or (max_bad is not None) != is_capped:
        raise ValueError(
            "Skipping bad examples needs the most that may be skipped, and "
            f"only skipping does. Received: on_bad={on_bad!r}, max_bad="
            f"{max_bad}. Use --on_bad=skip --max_bad=N with N of 1 or more."
        )
    if beam_runner is not None and on_bad == "skip":
        raise ValueError(
            "Apache Beam's workers cannot count together what they skip. "
            f"Received: beam_runner={beam_runner!r}, on_bad='skip'. See all "
            "that is wrong with --check, mend it, and prepare with "
            "--on_bad=raise; or leave out --beam_runner."
        )


def _manual_root(
    builder: Any, manual_dir: epath.PathLike | None
) -> epath.Path | None:
    """Checks the directory of raw files, where the data set has one."""
    if not builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
        return None
    builder.check_manual_dir(manual_dir)
    return epath.Path(manual_dir)


@contextlib.contextmanager
def _naming_full_disk(data_dir: epath.PathLike) -> Iterator[None]:
    """Turns the errors of a full disk into one that names it."""
    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        is_full = getattr(error, "errno", None) == errno.ENOSPC
        if not (is_full or "No space left" in str(error)):
            raise
        raise errors.DataDirError(
            "The disk is full; nothing of this data set was kept. Received: "
            f"data_dir={str(data_dir)!r}. Free some space, or give another "
            "disk with --data_dir=DIR, and run the same command again."
        ) from error


def _index_foreign(
    name: str, data_dir: epath.PathLike
) -> tfds.core.DatasetBuilder:
    """Reads a data set of tfds once, so that it can be opened at once."""
    foreign = name.removeprefix(FOREIGN)
    try:
        builder = tfds.builder(foreign, data_dir=epath.Path(data_dir))
    except tfds.core.DatasetNotFoundError as error:
        raise errors.DatasetNameError(
            f"tfds has no such data set. Received: {name!r} in data_dir="
            f"{str(data_dir)!r}. Known: those of tfds.list_builders(), and "
            "what stands in the directory."
        ) from error
    if not builder.is_prepared():
        raise errors.DataDirError(
            f"tfds has not prepared {foreign!r} here. Received: data_dir="
            f'{str(data_dir)!r}. Prepare it first: python -c "import '
            f"tensorflow_datasets as tfds; tfds.builder({foreign!r}, "
            f'data_dir={str(data_dir)!r}).download_and_prepare()"'
        )
    data.write_index(builder.info, builder.data_path)
    return builder


def is_prepared(name: str, *, data_dir: epath.PathLike) -> bool:
    """Tells whether `prepare` would have nothing to do.

    Args:
        name: See `prepare`.
        data_dir: See `prepare`.

    Returns:
        True if the data set can be read; of a data set of tfds always False:
        its index is made anew, in case its files are others by now.

    Raises:
        errors.DatasetNameError: If the name is unknown.
    """
    if name.startswith(FOREIGN):
        return False
    return bool(prepared_builder(name, data_dir=data_dir).is_prepared())


def prepared_builder(
    name: str, *, data_dir: epath.PathLike
) -> tfds.core.DatasetBuilder:
    """Makes the builder of a data set, whether or not it is prepared.

    Args:
        name: See `prepare`.
        data_dir: See `prepare`.

    Returns:
        The builder.

    Raises:
        errors.DatasetNameError: If data set or configuration is unknown.
    """
    data_set, _, config = name.partition("/")
    builder_class = _builder_class(data_set)
    known = builder_class.builder_configs
    if not config:
        chosen = None
    elif config in known:
        chosen = known[config]
    else:
        chosen = _custom_config(builder_class, data_set, config)
    return builder_class(data_dir=epath.Path(data_dir), config=chosen)


def _builder_class(data_set: str) -> Any:
    if data_set not in _NAMES:
        raise errors.DatasetNameError(
            f"There is no such data set. Received: name={data_set!r}. "
            f"Known: {', '.join(_NAMES)}. Use --dataset=NAME or "
            "--dataset=NAME/CONFIG."
        )
    # A builder registers itself with tfds when its module is imported.
    return importlib.import_module(
        f"transfusion_datasets.{data_set}.{data_set}_dataset_builder"
    ).Builder


def _custom_config(builder_class: Any, data_set: str, config: str) -> Any:
    """Lets a builder make a configuration that it does not list."""
    make = getattr(builder_class, "make_config", None)
    made = make(config) if make else None
    if made is None:
        raise errors.DatasetNameError(
            f"{data_set} has no such configuration. Received: "
            f"config={config!r}. Known: "
            f"{', '.join(builder_class.builder_configs)}"
            f"{builder_class.MORE_CONFIGS if make else ''}. Use "
            f"--dataset={data_set}/CONFIG."
        )
    return made


def _check_writable(data_dir: epath.Path) -> None:
    """Raises at once rather than after an hour's work."""
    try:
        records.check_writable(data_dir)
    except OSError as error:
        raise errors.DataDirError(
            "The directory for prepared data cannot be written. Received: "
            f"data_dir={str(data_dir)!r}; {error.__cause__}. Give a directory "
            "that can, with --data_dir=DIR."
        ) from error


def split_report(builder: tfds.core.DatasetBuilder) -> Mapping[str, Any]:
    """Reads the split report of a prepared data set.

    Args:
        builder: A builder whose data are prepared.

    Returns:
        `{"rule", "salt", "splits"}`, see `reports.describe`; of a data set
        of tfds, which names no patients, the numbers of images alone.

    Raises:
        errors.DataError: If the data carry no report.
    """
    if not builder.name.startswith("transfusion_"):
        return _foreign_report(builder)
    metadata = builder.info.metadata
    if not metadata or "split_report" not in metadata:
        raise errors.DataError(
            "The data set carries no split report, so it is not one of ours "
            f"or not prepared. Received: {builder.info.full_name!r} in "
            f"{str(builder.data_path)!r}. Prepare it with python -m "
            f"launch.prepare_data --dataset={builder.name}."
        )
    return dict(metadata["split_report"])


def _foreign_report(builder: tfds.core.DatasetBuilder) -> dict[str, Any]:
    return {
        "rule": "The data set's own splits.",
        "salt": None,
        "splits": {
            name: {
                "num_images": split.num_examples,
                "label_counts": {},
                "notes": {},
            }
            for name, split in builder.info.splits.items()
        },
    }


def train_command(builder: tfds.core.DatasetBuilder) -> str:
    """Says how to train on a prepared data set.

    Args:
        builder: A builder whose data are prepared.

    Returns:
        A command that lacks `--data_dir`.

    Example:
    >>> name = "transfusion_synthetic_fundus/n64"
    >>> train_command(prepared_builder(name, data_dir="tfds"))
    'python -m launch.train --task=synthetic_fundus_referable \
--dataset_config=n64 --image_size=64'
    """
    config = builder.builder_config
    tasks = [data.task(name) for name in data.TASK_NAMES]
    names = [task.name for task in tasks if task.dataset == builder.name]
    command = "python -m launch.train --task="
    if names:
        command += f"{names[0]} --dataset_config={config.name}"
    else:
        command += f"tfds:{builder.name}" + (
            f"/{config.name}" if config else ""
        )
    size = getattr(config, "image_size", None)
    return command if size is None else f"{command} --image_size={size}"

"""From a name to a prepared data set on disk, and its split report."""

import importlib
import tempfile
from collections.abc import Mapping
from typing import Any

import tensorflow_datasets as tfds
from etils import epath

from transfusion_datasets import errors, splits

_NAMES = ("transfusion_eyepacs", "transfusion_synthetic_fundus")


def data_set_names() -> tuple[str, ...]:
    """Lists the data sets that `prepare` knows.

    Example:
    >>> data_set_names()
    ('transfusion_eyepacs', 'transfusion_synthetic_fundus')
    """
    return _NAMES


def prepare(
    name: str,
    *,
    data_dir: epath.PathLike,
    manual_dir: epath.PathLike | None = None,
) -> tfds.core.DatasetBuilder:
    """Builds a data set unless it is there already.

    Nothing is left under the final name when it fails.

    Args:
        name: `NAME` or `NAME/CONFIG`, for example `transfusion_eyepacs` or
            `transfusion_eyepacs/circle112`.
        data_dir: Where prepared data sets are kept.
        manual_dir: Where the raw files are, for those that need them.

    Returns:
        The builder, which reads the prepared data.

    Raises:
        errors.DataError: If the name is unknown, `data_dir` cannot be
            written, or the raw files are not as they should be.
    """
    builder = prepared_builder(name, data_dir=data_dir)
    if builder.is_prepared():
        return builder
    _check_writable(epath.Path(data_dir))
    if builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
        builder.check_manual_dir(manual_dir)
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(
            manual_dir=manual_dir, try_download_gcs=False
        )
    )
    return builder


def is_prepared(name: str, *, data_dir: epath.PathLike) -> bool:
    """Tells whether `prepare` would have nothing to do.

    Args:
        name: See `prepare`.
        data_dir: See `prepare`.

    Returns:
        True if the data set can be read.

    Raises:
        errors.DatasetNameError: If the name is unknown.
    """
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
        data_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=data_dir):
            pass
    except OSError as error:
        raise errors.DataDirError(
            "The directory for prepared data cannot be written: "
            f"{error.strerror}. Received: data_dir={str(data_dir)!r}. Give "
            "a directory that can, with --data_dir=DIR."
        ) from error


def split_report(builder: tfds.core.DatasetBuilder) -> dict[str, Any]:
    """Reads the split report of a prepared data set.

    Args:
        builder: A builder whose data are prepared.

    Returns:
        See `splits.describe`.

    Raises:
        errors.DataError: If the data carry no report.
    """
    metadata = builder.info.metadata
    if not metadata or "split_report" not in metadata:
        raise errors.DataError(
            "The data set carries no split report, so it is not one of ours "
            f"or not prepared. Received: {builder.info.full_name!r} in "
            f"{str(builder.data_path)!r}. Prepare it with python -m "
            f"launch.prepare_data --dataset={builder.name}."
        )
    return dict(metadata["split_report"])


def format_split_report(report: Mapping[str, Any]) -> str:
    """Renders a split report as a table.

    Args:
        report: See `split_report`.

    Returns:
        Lines of text: one for each split, the rule, and what was enlarged.

    Example:
    >>> eyes = [splits.Photograph(f"7_{e}", "7", e, 2) for e in ("left",)]
    >>> report = splits.describe({"train": eyes}, rule="All.", salt=None)
    >>> print(format_split_report(report))
    split        images  patients  grade 0     1     2     3     4  referable
    train             1         1        0     0     1     0     0    100.0 %
    Rule: All.
    """
    lines = [
        f"{'split':<12}{'images':>7}{'patients':>10}{'grade 0':>9}"
        + "".join(f"{grade:>6}" for grade in range(1, splits.NUM_GRADES))
        + f"{'referable':>11}"
    ]
    lines += [_format_row(n, row) for n, row in report["splits"].items()]
    lines.append(f"Rule: {report['rule']}")
    lines += [
        f"Enlarged: {row['num_upscaled']} of {row['num_images']} {name} "
        "images, whose field is smaller than asked for."
        for name, row in report["splits"].items()
        if row.get("num_upscaled")
    ]
    return "\n".join(lines)


def _format_row(name: str, row: Mapping[str, Any]) -> str:
    counts = row["grade_counts"]
    referable = sum(counts[splits.FIRST_REFERABLE_GRADE :])
    share = 100 * referable / max(1, sum(counts))
    return (
        f"{name:<12}{row['num_images']:>7}{row['num_patients']:>10}"
        f"{counts[0]:>9}{''.join(f'{count:>6}' for count in counts[1:])}"
        f"{share:>9.1f} %"
    )

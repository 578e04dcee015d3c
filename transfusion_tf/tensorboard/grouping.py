"""Which runs belong together, and what they say together.

A group is the runs of one study that differ in seed and fold only. The folds
of a seed are averaged before anything else; a band is over seeds.
"""

from __future__ import annotations

import dataclasses
import urllib.parse
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

MIN_SEEDS = 3
# Fields of run_info that the runs of a group share, unless they were asked
# for differently.
SHARED_FIELDS = (
    "model_title",
    "donor",
    "metric",
    "threshold",
    "num_parameters",
)

# 0.975 quantiles of Student's t for 1 to 30 degrees of freedom.
_T_QUANTILES = (
    12.706205, 4.302653, 3.182446, 2.776445, 2.570582, 2.446912, 2.364624,
    2.306004, 2.262157, 2.228139, 2.200985, 2.178813, 2.160369, 2.144787,
    2.131450, 2.119905, 2.109816, 2.100922, 2.093024, 2.085963, 2.079614,
    2.073873, 2.068658, 2.063899, 2.059539, 2.055529, 2.051831, 2.048407,
    2.045230, 2.042272,
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Curve:
    """A scalar over the steps of training.

    Attributes:
        steps: Rising.
        values: One a step; NaN where undefined.
    """

    steps: Sequence[int]
    values: Sequence[float]


@dataclasses.dataclass(frozen=True)
class Band:
    """Mean over seeds with its 95 % interval, at the steps all seeds share.

    Attributes:
        steps: Rising.
        mean: One a step, or None below 3 seeds. NaN where a seed has NaN.
        low: Low end; None with `mean`.
        high: High end; None with `mean`.
    """

    steps: Sequence[int]
    mean: Sequence[float] | None
    low: Sequence[float] | None
    high: Sequence[float] | None


def study_of_run(run: str) -> str:
    """Returns the study that a run is of, by its name in TensorBoard.

    Example:
    >>> study_of_run("demo/runs/cbr_tiny-random-seed0")
    'demo'
    >>> study_of_run("runs/cbr_tiny-random-seed0"), study_of_run("a/b")
    ('', 'a')
    """
    parts = run.split("/")
    for i in reversed(range(len(parts) - 1)):
        if parts[i] == "runs":
            return "/".join(parts[:i])
    return parent(run)


def study_around(directory: str, studies: Collection[str]) -> str:
    """Returns the study in which a directory lies that is no run itself.

    Args:
        directory: Its name in TensorBoard.
        studies: Those that are known of.

    Returns:
        The innermost of `studies` around it, or as of a run.

    Example:
    >>> study_around("demo/comparisons/a--b", {"demo"})
    'demo'
    """
    around = [
        study
        for study in studies
        if study == "" or directory.startswith(study + "/")
    ]
    return max(around, key=len) if around else study_of_run(directory)


def parent(directory: str) -> str:
    """Returns the directory around one, "" at the top."""
    return directory.rpartition("/")[0]


def group_key(study: str, info: Mapping[str, Any]) -> str:
    """Returns what identifies a run's group.

    Args:
        study: The run's.
        info: Content of its `run_info`.

    Example:
    >>> group_key("demo", {"model": "m", "init": "random", "task": "t"})
    'demo|m|random|t'
    """
    parts = (study, info["model"], info["init"], info["task"])
    return "|".join(
        urllib.parse.quote(part, safe="/:= ,", errors="surrogatepass")
        for part in parts
    )


def runs_by_seed(
    infos: Mapping[str, Mapping[str, Any]],
) -> tuple[dict[int, list[str]], dict[str, str]]:
    """Sorts a group's runs by seed.

    Args:
        infos: `run_info` by run.

    Returns:
        The runs of each seed, of which several are its folds; and of each
        run that fits none of them, why.

    Example:
    >>> runs_by_seed({"a": {"seed": 0, "fold": "1/2"},
    ...               "b": {"seed": 0, "fold": "2/2"}})
    ({0: ['a', 'b']}, {})
    """
    taken: dict[int, dict[str | None, str]] = {}
    left_out = {}
    for run, info in sorted(infos.items()):
        seed, fold = info["seed"], info["fold"]
        folds = taken.setdefault(seed, {})
        if fold in folds:
            left_out[run] = (
                f"This run and {folds[fold]!r} are of one group, seed and "
                f"fold. Received: seed={seed}, fold={fold}. The other is "
                "shown in the group; keep one of them in the log directory."
            )
        elif folds and _num_folds(fold) != _num_folds(next(iter(folds))):
            left_out[run] = (
                "The runs of this group and seed are of different numbers of "
                f"folds. Received: fold={fold} beside "
                f"{', '.join(map(str, folds))}. It is left out of the group; "
                "keep studies of different folds in directories of their own."
            )
        else:
            folds[fold] = run
    return (
        {seed: list(folds.values()) for seed, folds in sorted(taken.items())},
        left_out,
    )


def _num_folds(fold: str | None) -> int:
    return 1 if fold is None else int(fold.split("/")[1])


def average_folds(curves: Sequence[Curve]) -> Curve:
    """Averages a seed's folds, evaluation by evaluation.

    The folds of a seed have slightly different numbers of images, and so
    of steps: their n-th evaluations belong together, whatever their steps.

    Args:
        curves: One a fold, of runs that may not all have ended.

    Returns:
        The mean of the evaluations that all have; steps are rounded.

    Example:
    >>> average_folds([Curve([0, 10], [0.5, 0.7]), Curve([0, 13], [0.5, 0.8])])
    Curve(steps=[0, 12], values=[0.5, 0.75])
    """
    if len(curves) == 1:
        return curves[0]
    num = min(len(curve.steps) for curve in curves)
    steps = np.mean([curve.steps[:num] for curve in curves], axis=0)
    values = np.mean([curve.values[:num] for curve in curves], axis=0)
    return Curve(np.rint(steps).astype(int).tolist(), values.tolist())


def band(curves: Sequence[Curve]) -> Band:
    """Returns the mean over seeds and Student's t interval around it.

    Args:
        curves: One a seed.

    Example:
    >>> seeds = [Curve([0], [0.0]), Curve([0], [1.0]), Curve([0, 5], [2.0, 1])]
    >>> result = band(seeds)
    >>> result.steps, result.mean, round(result.high[0], 3)
    ([0], [1.0], 3.484)
    """
    by_step = [
        dict(zip(curve.steps, curve.values, strict=True)) for curve in curves
    ]
    shared = sorted(set.intersection(*(set(values) for values in by_step)))
    if len(curves) < MIN_SEEDS:
        return Band(shared, None, None, None)
    values = np.array(
        [[of_seed[step] for step in shared] for of_seed in by_step], float
    )
    # One infinite seed makes its step undefined, as NaN does.
    values[~np.isfinite(values)] = np.nan
    mean = values.mean(axis=0)
    half = (
        t_quantile(len(curves) - 1)
        * values.std(axis=0, ddof=1)
        / len(curves) ** 0.5
    )
    return Band(
        shared, mean.tolist(), (mean - half).tolist(), (mean + half).tolist()
    )


def t_quantile(degrees_of_freedom: int) -> float:
    """Returns the 0.975 quantile of Student's t.

    Args:
        degrees_of_freedom: From 1.

    Returns:
        To 5 decimals: from a table up to 30, by the first terms of its
        series in 1 / degrees_of_freedom beyond (Abramowitz and Stegun,
        26.7.5). SciPy is not there where only TensorBoard is installed.

    Example:
    >>> round(t_quantile(2), 3), round(t_quantile(1_000), 3)
    (4.303, 1.962)
    """
    if degrees_of_freedom <= len(_T_QUANTILES):
        return _T_QUANTILES[degrees_of_freedom - 1]
    n, z = degrees_of_freedom, 1.959963985
    return (
        z
        + (z**3 + z) / (4 * n)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * n**3)
    )

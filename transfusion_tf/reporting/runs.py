"""Reads the record of one finished run."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from etils import epath

from transfusion_tf import evaluation, records

# A result and its predictions tell one number twice; they may differ by the
# rounding of JSON only.
_AGREEMENT = 1e-6
_HEAD = "head"


@dataclasses.dataclass(frozen=True)
class Arm:
    """One model with one initialization."""

    model: str
    init: str


@dataclasses.dataclass(frozen=True, eq=False)
class RunRecord:
    """What is read of a finished run.

    Attributes:
        name: Name of its directory.
        arm: Its model and initialization.
        seed: Its seed.
        donor: What the donor is, in words, or None.
        num_parameters: All parameters of the network.
        metric: "auc" or "accuracy".
        curve_steps: Steps of the evaluations on validation, shape `[k]`.
        curve: The metric at these steps, shape `[k]`.
        test: The scores on the test split.
        num_training_examples: Images trained on, or None if not recorded.
        environment: What it was made with, in words, or "".
        findings: Names of what `test` holds a column of; empty of one label.
        directories: Names of the directories it was read of: one, or one a
            fold.
        stages: The network's stages in order, the head left out; empty where
            there is no record of its first values.
        num_transfused: How many of the first stages were copied from the
            donor, where everything after them is random; `None` of any other
            initialization.
    """

    name: str
    arm: Arm
    seed: int
    donor: str | None
    num_parameters: int
    metric: str
    curve_steps: npt.NDArray[np.int64]
    curve: npt.NDArray[np.float64]
    test: evaluation.Predictions
    num_training_examples: int | None
    environment: str
    findings: tuple[str, ...]
    directories: tuple[str, ...]
    stages: tuple[str, ...]
    num_transfused: int | None


def read_run(
    path: epath.Path, config: Mapping[str, Any], arm: Arm, seed: int
) -> RunRecord:
    """Reads a finished run.

    Args:
        path: Its directory.
        config: The content of its `config.json`.
        arm: Its model and initialization.
        seed: Its seed.

    Raises:
        ValueError: If its records contradict themselves, or it was never
            evaluated on validation patients.
    """
    result = read_json(path / "result.json")
    test = evaluation.Predictions.from_arrays(
        records.read_npz(path / "predictions_test.npz")
    )
    is_classes = test.score.ndim == 2 and test.label.ndim == 1
    metric = "accuracy" if is_classes else "auc"
    has_findings = test.label.ndim == 2
    _check_agreement(path, result, test, metric)
    steps, values = _read_curve(path, metric)
    donor = config.get("donor")
    trained_on = config.get("data", {}).get("train", {})
    stages, num_transfused = _read_first_values(path)
    return RunRecord(
        name=path.name,
        arm=arm,
        seed=seed,
        donor=None if donor is None else str(donor["name"]),
        num_parameters=int(result["parameters"]["total"]),
        metric=metric,
        curve_steps=steps,
        curve=values,
        test=test,
        num_training_examples=trained_on.get("num_examples"),
        environment=_environment(config.get("environment", {})),
        findings=tuple(config["label_names"]) if has_findings else (),
        directories=(path.name,),
        stages=stages,
        num_transfused=num_transfused,
    )


def read_json(path: epath.Path) -> dict[str, Any]:
    """Reads a file of records.

    Raises:
        ValueError: If it was written with another schema.
    """
    content = records.read_json(path)
    if content.get("schema_version") != records.SCHEMA_VERSION:
        raise ValueError(
            f"{os.fspath(path)!r} was written with another schema. Received: "
            f"schema_version={content.get('schema_version')}. This version "
            f"reads {records.SCHEMA_VERSION}: use the version that wrote it."
        )
    return content


def _read_first_values(
    path: epath.Path,
) -> tuple[tuple[str, ...], int | None]:
    """Reads the stages, and how many of them were transfused."""
    sources: dict[str, set[str]] = {}
    if (path / "initialization.json").exists():
        for variable in records.read_json(path / "initialization.json"):
            if variable["stage"] != _HEAD:
                of_stage = sources.setdefault(variable["stage"], set())
                of_stage.add(variable["source"])
    is_copied = [of_stage == {"copy"} for of_stage in sources.values()]
    num_copied = (is_copied + [False]).index(False)
    rest = list(sources.values())[num_copied:]
    is_transfusion = sources and all(part == {"random"} for part in rest)
    return tuple(sources), num_copied if is_transfusion else None


def _environment(recorded: Mapping[str, Any]) -> str:
    named = {
        "tensorflow": "TensorFlow",
        "keras": "Keras",
        "numpy": "NumPy",
        "python": "Python",
        "commit": "commit",
    }
    return ", ".join(
        f"{title} {recorded[name]}"
        for name, title in named.items()
        if name in recorded
    )


def _check_agreement(
    path: epath.Path,
    result: Mapping[str, Any],
    test: evaluation.Predictions,
    metric: str,
) -> None:
    told, computed = result["test"].get(metric), test.metric(metric)
    if told is None or abs(told - computed) > _AGREEMENT:
        raise ValueError(
            f"The records of {path.name} contradict each other. Received: "
            f"{metric}={told} in result.json, {computed} from "
            "predictions_test.npz. Evaluate the run again "
            "(python -m launch.evaluate), or restore its files."
        )


def _read_curve(
    path: epath.Path, metric: str
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    rows = [
        row
        for row in records.read_jsonl(path / "metrics.jsonl")
        if row.get("split") == "validation" and metric in row
    ]
    if not rows:
        raise ValueError(
            f"{path.name} was never evaluated on validation patients. "
            f"Received: metrics.jsonl without {metric!r}. Run it again with "
            "a smaller --eval_every_steps."
        )
    steps = np.array([row["step"] for row in rows], dtype=np.int64)
    return steps, np.array([row[metric] for row in rows], dtype=np.float64)

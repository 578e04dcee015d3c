"""Which layers changed: similarity of stages between two checkpoints.

Before and after training of one run it is Figure 3 of the paper; between two
runs it is one point of its Figures 2 and 4.
"""

import dataclasses
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from etils import epath

from transfusion_tf import records, similarity, training
from transfusion_tf.analysis import activations
from transfusion_tf.analysis.comparison_request import (
    Checkpoint,
    ComparisonRequest,
    ProtocolConfig,
    finished_comparison,
)


def compare(
    request: ComparisonRequest,
    *,
    capture: activations.StageActivations,
    run_data: training.TaskData,
) -> dict[str, Any]:
    """Scores every stage of one checkpoint against another's.

    Args:
        request: Which checkpoints, and how to sample and score.
        capture: Of the network that the weights are loaded into.
        run_data: The images.

    Returns:
        See `score_checkpoints`.

    Raises:
        ValueError: If weights are damaged.
        FileNotFoundError: If a run did not keep the weights.
        training.Interrupted: If the program was asked to stop.

    Source: section 3 and the appendix on CCA of convolutional layers;
        Figure 3 of the paper.
    """
    sides = [
        capture_checkpoint(
            checkpoint,
            capture=capture,
            run_data=run_data,
            config=request.config,
        )
        for checkpoint in (request.first, request.second)
    ]
    return score_checkpoints(request, sides, capture.program.stop_if_asked)


def capture_checkpoint(
    checkpoint: Checkpoint,
    *,
    capture: activations.StageActivations,
    run_data: training.TaskData,
    config: ProtocolConfig,
) -> dict[str, np.ndarray]:
    """Captures the stages of a checkpoint on the test images.

    A checkpoint of step 0 has its batch norm re-estimated on training images
    first. Batch norm is then in inference mode.

    Args:
        checkpoint: Whose weights are loaded.
        capture: Of the network that they are loaded into.
        run_data: The images.
        config: How many images.

    Returns:
        See `StageActivations`.

    Raises:
        FileNotFoundError: If the run did not keep the weights.
    """
    program = capture.program
    training.load_weights(program.staged.model, checkpoint.path)
    if checkpoint.step == 0:
        program.recalibrate_batch_norm(
            run_data.train, num_images=config.num_images
        )
    return capture(run_data.test, num_images=config.num_images)


def score_checkpoints(
    request: ComparisonRequest,
    sides: Sequence[Mapping[str, np.ndarray]],
    stop_if_asked: Callable[[int], None],
) -> dict[str, Any]:
    """Scores what was captured of two checkpoints, stage by stage.

    Args:
        request: Which checkpoints, and how to sample and score.
        sides: What `capture_checkpoint` returned of each.
        stop_if_asked: Called with the place of every stage before it is
            scored: a stage takes seconds, all of a large network minutes.

    Returns:
        The content of `comparison.json`: per stage the score, at most 1, the
        null level, and what they were computed from.
    """
    first, second, config = request.first, request.second, request.config
    is_one_run = first.run.path == second.run.path
    # Between two runs the index of a channel means nothing.
    channels = "same" if is_one_run else "independent"
    scored: dict[str, list[dict[str, Any]]] = {}
    for measure in request.measures:
        scored[measure] = []
        of_measure = dataclasses.replace(config, measure=measure)
        for place, name in enumerate(request.stage_names):
            stop_if_asked(place)
            scored[measure].append(
                _score_stage(name, sides, channels, of_measure)
            )
    matrix = (
        {"matrix": stage_matrix(request.stage_names, sides)}
        if is_one_run
        else {}
    )
    return {
        "schema_version": records.SCHEMA_VERSION,
        "kind": "before_after" if is_one_run else "between_runs",
        "run": first.run.path.name,
        "other_run": second.run.path.name,
        "steps": [first.step, second.step],
        "measure": config.measure,
        "protocol": {
            "num_positions": config.num_positions,
            "num_channels": config.num_channels,
            "repeats": config.repeats,
            "channels": channels,
            "batch_norm": "recalibrated at step 0, moving statistics after",
            "split": "test",
            "num_images": len(next(iter(sides[0].values()))),
            "max_grid_positions": activations.MAX_GRID_POSITIONS,
            "seed": config.sampling_seed,
        },
        "request": request.record(),
        "stages": scored.pop(config.measure),
        "other_measures": scored,
        **matrix,
    }


def stage_matrix(
    stage_names: Sequence[str], sides: Sequence[Mapping[str, np.ndarray]]
) -> dict[str, Any]:
    """Scores every stage of one checkpoint against every one of another.

    Args:
        stage_names: The stages, in order.
        sides: What `capture_checkpoint` returned of each.

    Returns:
        What stands under `matrix` in `comparison.json`: `scores`, lists
        `[first's stages][second's stages]` of debiased CKA of activations
        averaged over positions (where a grid is large, the kept ones), None
        where undefined; the null level of all, and how many images.
    """
    means = [
        [side[name].mean(axis=(1, 2), dtype=np.float64) for name in stage_names]
        for side in sides
    ]
    return {
        "measure": "debiased cka",
        "spatial": "average",
        "num_images": len(means[0][0]),
        "null": 0.0,
        "scores": [
            [_number(score) for score in row]
            for row in similarity.cka_matrix(*means)
        ],
    }


def compare_runs(
    request: ComparisonRequest,
    trainer: training.Trainer,
    *,
    data_dir: str | None = None,
    output_dir: epath.PathLike | None = None,
) -> dict[str, Any]:
    """Opens data and network of two runs' checkpoints and compares them.

    Args:
        request: Which checkpoints, and how to sample and score.
        trainer: Keeps the network and the data.
        data_dir: Where the runs' data set is prepared.
        output_dir: Where `comparison.json` is written, of several workers by
            the first. If it is there already, it is read and nothing is
            computed.

    Returns:
        See `score_checkpoints`.

    Raises:
        ValueError: If the runs are of different models, image sizes or data,
            or `output_dir` holds a comparison of another request.
        FileNotFoundError: See `compare`.
        RuntimeError: If another worker has stopped.
        training.Interrupted: See `compare`.
    """
    check_comparable([request.first.run, request.second.run])
    path = output_dir and epath.Path(output_dir) / "comparison.json"
    finished = path and finished_comparison(path, request)
    if finished:
        return finished
    run_config = training.TrainConfig.from_record(
        request.first.run.config()["config"], data_dir=data_dir
    )
    run_data = trainer.data(run_config)
    strategy = trainer.strategy_of(run_config)
    with training.death_of_others_told(strategy, request.first.run.path.name):
        program = trainer.program(run_config, run_data)
        comparison = compare(
            request,
            capture=activations.StageActivations(
                program, seed=request.config.sampling_seed
            ),
            run_data=run_data,
        )
    if path and training.is_chief(strategy):
        records.write_json(path, comparison)
    return comparison


def describe(comparison: Mapping[str, Any]) -> str:
    """Returns score and null level of every stage, a line each.

    Args:
        comparison: What `score_checkpoints` returned.

    Example:
    >>> stage = {"stage": "conv1", "score": 0.5, "null": 0.1, "notes": []}
    >>> print(describe({"measure": "cca", "stages": [stage],
    ...                 "other_measures": {}}))
    cca (null level)
      conv1    0.500 (0.100)
    """
    scored = {comparison["measure"]: comparison["stages"]}
    lines = []
    for measure, stages in (scored | comparison["other_measures"]).items():
        lines.append(f"{measure} (null level)")
        lines += [f"  {s['stage']:8} {_cell(s)}" for s in stages]
    return "\n".join(lines)


def _cell(stage: Mapping[str, Any]) -> str:
    notes = "; ".join(stage["notes"])
    if stage["score"] is None:
        return f"none: {notes}"
    return f"{stage['score']:.3f} ({stage['null']:.3f})  {notes}".rstrip()


def check_comparable(runs: Sequence[records.RunDirectory]) -> None:
    """Checks that runs are of one network on the same test images.

    Args:
        runs: At least one.

    Raises:
        ValueError: If two are of different models, image sizes, scalings of
            pixels or data.
        FileNotFoundError: If one has no `config.json`.
    """
    facts = [
        record["config"]
        | {
            # What it came to where nothing was asked.
            "preprocessing": record["preprocessing"],
            "test": record["data"]["test"],
        }
        for record in (run.config() for run in runs)
    ]
    for key in ("model", "image_size", "preprocessing", "task", "test"):
        first, *others = [of_run[key] for of_run in facts]
        different = [value for value in others if value != first]
        if different:
            raise ValueError(
                "Only runs of one model on one data set can be compared by "
                f"stage. Received: {key}={first!r} and {different[0]!r}. "
                "Name runs that differ in seed or initialization only."
            )


def _score_stage(
    name: str,
    sides: Sequence[Mapping[str, np.ndarray]],
    channels: str,
    config: ProtocolConfig,
) -> dict[str, Any]:
    with warnings.catch_warnings():
        # What they say is in the result's notes, beside the null level.
        warnings.simplefilter("ignore", UserWarning)
        result = similarity.paper_protocol(
            sides[0][name],
            sides[1][name],
            num_positions=config.num_positions,
            num_channels=config.num_channels,
            repeats=config.repeats,
            channels=channels,
            measure=config.measure,
            seed=config.sampling_seed,
            allow_small_n=True,
        )
    return {
        "stage": name,
        "score": _number(result.mean),
        "scores": [_number(score) for score in result.scores],
        "null": _number(result.null),
        "nulls": [_number(null) for null in result.nulls],
        "num_datapoints": result.num_datapoints,
        "num_neurons": list(result.num_neurons),
        "notes": list(result.notes),
    }


def _number(value: float) -> float | None:
    """JSON has no word for "not a number"."""
    return None if math.isnan(value) else float(value)

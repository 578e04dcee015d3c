"""Looks into finished runs at the level of their layers.

  python -m launch.probe --probe=weight_movement --run_a=runs/one
shows how far each variable moved from step 0. The others score images, with
  python -m launch.probe --probe=PROBE --run_a=runs/one --data_dir=tfds
  reinitialize   when one stage is put back to step 0
  rerandomize    when one stage is drawn anew
  interpolate    along the line between two runs (--run_b=runs/two)
  block_shuffle  when the blocks of the images are put into another order
  neighbors      by the nearest training images, in each stage's features
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

from absl import flags

from launch import cli
from transfusion_tf import analysis, data, records, training

PROBES = (
    "weight_movement",
    "reinitialize",
    "rerandomize",
    "interpolate",
    "block_shuffle",
    "neighbors",
)
_PROBE = flags.DEFINE_enum(
    "probe", None, PROBES, "What to look at.", required=True
)
_RUN_A = flags.DEFINE_string("run_a", None, "A finished run.", required=True)
_RUN_B = flags.DEFINE_string(
    "run_b",
    None,
    "Another finished run of that model, for weight_movement and interpolate. "
    "Default: from step 0 of the same run.",
)
_SPLIT = flags.DEFINE_enum(
    "split", "test", list(data.SPLIT_NAMES), "What is scored."
)
_NUM_POINTS = flags.DEFINE_integer(
    "num_points", 11, "Points on the line, both ends included.", lower_bound=2
)
_NUM_NEIGHBORS = flags.DEFINE_integer(
    "num_neighbors", 20, "Training images that vote.", lower_bound=1
)
_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Where prepare_data wrote the data sets."
)
_OUTPUT = flags.DEFINE_string("output", None, "Also write a .json.")


def main(argv: Sequence[str]) -> None:
    """Prints a row for each variable, stage or point."""
    del argv
    run = records.RunDirectory(_RUN_A.value)
    strategy = training.prepare_runtime(run.config()["config"]["num_threads"])
    trainer = training.Trainer(strategy=strategy)
    network = analysis.Network(run, trainer, data_dir=_DATA_DIR.value)
    rows = [dataclasses.asdict(row) for row in _look(network)]
    for row in [{key: key for key in rows[0]}, *rows]:
        cells = map(_cell, row.values(), rows[0].values())
        print("  ".join(cells).rstrip())
    if _OUTPUT.value:
        content = {"probe": _PROBE.value, "split": _SPLIT.value, "rows": rows}
        records.write_json(_OUTPUT.value, content)


def _look(network: analysis.Network) -> list[Any]:
    split = _SPLIT.value
    last = analysis.Checkpoint(network.run, network.last_step)
    ends = (analysis.Checkpoint(network.run, 0), last)
    if _RUN_B.value:
        other = records.RunDirectory(_RUN_B.value)
        step = other.result()["num_steps"]
        ends = (last, analysis.Checkpoint(other, step))
    match _PROBE.value:
        case "weight_movement":
            return analysis.weight_movement(network, *ends)
        case "interpolate":
            return analysis.interpolate(
                network, *ends, num_points=_NUM_POINTS.value, split=split
            )
        case "block_shuffle":
            return analysis.score_shuffled_blocks(network, split=split)
        case "neighbors":
            return analysis.score_neighbors(
                network, num_neighbors=_NUM_NEIGHBORS.value, split=split
            )
    mode = {"reinitialize": "initial", "rerandomize": "random"}[_PROBE.value]
    return analysis.reinitialize_stages(network, mode=mode, split=split)


def _cell(value: Any, first: Any) -> str:
    """A cell as wide as its column, which names or counts things."""
    if isinstance(first, str):
        return f"{value or 'as trained':36}"
    if isinstance(value, float):
        return f"{value:10.4f}"
    return f"{'-' if value is None else value:>10}"


if __name__ == "__main__":
    cli.run(main)

"""Scores how alike two checkpoints represent the test images, by stage.

Example:
  python -m launch.similarity --run_a=runs/one --data_dir=tfds
compares a run before and after training; --run_b compares two runs;
--measures=cca,cka,procrustes scores the same samples by several measures.
"""

from collections.abc import Sequence

from absl import flags
from etils import epath

from launch import cli
from transfusion_tf import analysis, records, similarity, training

_RUN_A = flags.DEFINE_string("run_a", None, "A finished run.", required=True)
_RUN_B = flags.DEFINE_string(
    "run_b", None, "Another finished run of that model. Default: the same."
)
_STEP_A = flags.DEFINE_integer(
    "step_a",
    None,
    "Step whose weights are compared. Default: 0, or the last with --run_b.",
)
_STEP_B = flags.DEFINE_integer(
    "step_b", None, "Step that it is compared with. Default: the last."
)
_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Where prepare_data wrote the data sets."
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Also write comparison.json into this directory."
)
_MEASURES = flags.DEFINE_list(
    "measures", ["cca"], f"Some of {', '.join(similarity.MEASURES)}."
)
_STAGES = flags.DEFINE_list(
    "stages", None, "Stages to score, such as conv1,block2. Default: all."
)
cli.define_flags(analysis.ProtocolConfig, skip=["measure"])
flags.register_validator(
    "measures",
    lambda names: bool(names) and not set(names) - set(similarity.MEASURES),
    message=f"Name some of {', '.join(similarity.MEASURES)}.",
)


def main(argv: Sequence[str]) -> None:
    """Prints the score and the null level of every stage."""
    del argv
    run_a = records.RunDirectory(_RUN_A.value)
    run_b = records.RunDirectory(_RUN_B.value or _RUN_A.value)
    first_step = run_a.result()["num_steps"] if _RUN_B.value else 0
    training.prepare_runtime(run_a.config()["config"]["num_threads"])
    comparison = analysis.compare_runs(
        analysis.Checkpoint(run_a, _given(_STEP_A.value, first_step)),
        analysis.Checkpoint(
            run_b, _given(_STEP_B.value, run_b.result()["num_steps"])
        ),
        training.Trainer(),
        config=cli.config_from_flags(
            analysis.ProtocolConfig, measure=_MEASURES.value[0]
        ),
        data_dir=_DATA_DIR.value,
        stages=_STAGES.value,
        other_measures=_MEASURES.value[1:],
    )
    scored = {comparison["measure"]: comparison["stages"]}
    for measure, stages in (scored | comparison["other_measures"]).items():
        print(f"{measure} (null level)")
        for stage in stages:
            print(f"  {stage['stage']:8} {_cell(stage)}")
    if _OUTPUT_DIR.value:
        path = epath.Path(_OUTPUT_DIR.value) / "comparison.json"
        records.write_json(path, comparison)
        print(f"Comparison: {path}")


def _given(value: int | None, default: int) -> int:
    return default if value is None else value


def _cell(stage: dict) -> str:
    notes = "; ".join(stage["notes"])
    if stage["score"] is None:
        return f"none: {notes}"
    return f"{stage['score']:.3f} ({stage['null']:.3f})  {notes}".rstrip()


if __name__ == "__main__":
    cli.run(main)

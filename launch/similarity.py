"""Scores how alike checkpoints represent the test images, by stage.

  python -m launch.similarity --run_a=runs/one --data_dir=tfds
compares a run before and after training; --run_b compares two runs;
--measures=cca,cka,procrustes scores the same samples by several measures.
  python -m launch.similarity --study_dir=runs/demo --data_dir=tfds
compares runs of a study in pairs, random with random and with transfer, before
and after training; `launch.report` draws it. Nothing finished is done again.
"""

from collections.abc import Sequence
from typing import Any

from absl import flags

from launch import cli, progress_bar
from transfusion_tf import analysis, similarity, studies, training

_RUN_A = flags.DEFINE_string("run_a", None, "A finished run.")
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
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Also write comparison.json into this directory."
)
_STUDY_DIR = flags.DEFINE_string(
    "study_dir", None, "A study whose runs are compared in pairs."
)
_ARMS = flags.DEFINE_list(
    "arms",
    None,
    "Arms of the study, each model/init: runs of a model's first one are "
    "paired with one another and the others'. Default: random and transfer.",
)
_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Where prepare_data wrote the data sets."
)
_MEASURES = flags.DEFINE_list(
    "measures", ["cca"], f"Some of {', '.join(similarity.MEASURES)}."
)
_STAGES = flags.DEFINE_list(
    "stages", None, "Stages to score, such as conv1,block2. Default: all."
)
cli.define_flags(analysis.ProtocolConfig, skip=["measure"])
cli.define_flags(training.TrainConfig, only=training.DEVICE_FIELDS)
flags.register_validator(
    "measures", bool, message=f"Name some of {', '.join(similarity.MEASURES)}."
)
flags.mark_flags_as_mutual_exclusive(["run_a", "study_dir"], required=True)
for _OF_A_RUN in ("run_b", "step_a", "step_b", "output_dir"):
    flags.mark_flags_as_mutual_exclusive(["study_dir", _OF_A_RUN])
flags.mark_flags_as_mutual_exclusive(["run_a", "arms"])


def main(argv: Sequence[str]) -> None:
    """Prints the score and the null level of every stage."""
    del argv
    measure, *others = _MEASURES.value
    config = cli.config_from_flags(analysis.ProtocolConfig, measure=measure)
    choices = {
        "config": config,
        "stages": _STAGES.value,
        "other_measures": others,
    }
    if _STUDY_DIR.value:
        _compare_study(choices)
    else:
        _compare_runs(choices)


def _compare_study(choices: dict[str, Any]) -> None:
    arms = [studies.Arm.parse(text) for text in _ARMS.value or ()]
    pairs = studies.find_run_pairs(_STUDY_DIR.value, arms)
    strategy = cli.prepare_runtime(pairs.num_threads)
    stop, bar = training.StopRequest(), progress_bar.ProgressBar("part")
    trainer = training.Trainer(
        progress=bar, stop_request=stop, strategy=strategy
    )
    with bar, training.stop_on_signals(stop):
        studies.compare_run_pairs(
            pairs, trainer, data_dir=_DATA_DIR.value, start=bar.start, **choices
        )
    print(f"{len(pairs.comparisons)} comparisons in {_STUDY_DIR.value}")
    print(f"Runs not finished: {', '.join(pairs.unfinished) or 'none'}")


def _compare_runs(choices: dict[str, Any]) -> None:
    first, second = analysis.two_checkpoints(
        _RUN_A.value, _RUN_B.value, _STEP_A.value, _STEP_B.value
    )
    strategy = cli.prepare_runtime(first.run.config()["config"]["num_threads"])
    comparison = analysis.compare_runs(
        analysis.ComparisonRequest(first, second, **choices),
        training.Trainer(strategy=strategy),
        data_dir=_DATA_DIR.value,
        output_dir=_OUTPUT_DIR.value,
    )
    print(analysis.describe(comparison))


if __name__ == "__main__":
    cli.run(main)

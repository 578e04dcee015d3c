"""Runs a study: arms x seeds, comparisons before/after, and the report.

The same command again goes on, and prints the report of Slurm's jobs when done.

Example:
  python -m launch.study --flagfile=launch/experiments/demo.flags
"""

import dataclasses
import sys
from collections.abc import Sequence

from absl import flags
from etils import epath

from launch import cli, progress_bar
from transfusion_tf import analysis, studies, training

_STUDY_DIR = flags.DEFINE_string(
    "study_dir", None, "Where the study is recorded.", required=True
)
_NAME = flags.DEFINE_string("name", "study", "What the report calls it.")
_ARMS = flags.DEFINE_list(
    "arms", ["resnet50/transfer", "resnet50/random"], "Arms, each model/init."
)
_SEEDS = flags.DEFINE_list(
    "seeds", ["0", "1", "2"], "Seeds; every arm is trained with each."
)
_NUM_FOLDS = flags.DEFINE_integer(
    "num_folds",
    None,
    "Folds of a cross-validation over the train and validation patients; "
    "every arm is trained with each seed in each fold.",
    lower_bound=3,
)
_PLAN = flags.DEFINE_bool(
    "plan", False, "Print the runs and what they will cost, and stop."
)
_STATUS = flags.DEFINE_bool("status", False, "Print how far each run is.")
cli.define_flags(training.TrainConfig, skip=("model", "init", "seed"))
cli.define_flags(analysis.ProtocolConfig)
cli.define_flags(studies.ExecutorConfig)
# What differs between machines is no part of the command that is recorded.
_LOCATIONS = ("study_dir", "data_dir")
_NOT_RECORDED = [f.name for f in dataclasses.fields(studies.ExecutorConfig)]


def main(argv: Sequence[str]) -> None:
    """Runs what is missing of the study and prints its answer."""
    del argv
    study = _study_from_flags()
    executor = cli.config_from_flags(studies.ExecutorConfig)
    if _STATUS.value:
        print(*studies.study_status(study), sep="\n")
        return
    strategy = studies.prepare_executor(executor, study.config.base)
    cli.prepare_synthetic_data(study.config.base)
    request = training.StopRequest()
    with (
        training.stop_on_signals(request),
        progress_bar.ProgressBar() as progress,
    ):
        trainer = training.Trainer(
            progress=progress, stop_request=request, strategy=strategy
        )
        print(trainer.data(study.config.runs()[0]).describe())
        if _PLAN.value:
            parallel = executor.num_parallel
            print(studies.plan_study(study, trainer, num_parallel=parallel))
            return
        progress.start(*studies.count_steps(study, trainer))
        outcome = studies.run_study(
            study,
            trainer,
            executor=executor,
            progress=progress,
            stop_request=request,
            command=cli.recorded_command(
                "launch.study",
                sys.argv[1:],
                locations=_LOCATIONS,
                left_out=_NOT_RECORDED,
            ),
        )
    print(outcome.describe(study))
    sys.exit(outcome.exit_code)


def _study_from_flags() -> studies.Study:
    base = cli.config_from_flags(
        training.TrainConfig, model="resnet50", init="random", seed=0
    )
    config = studies.StudyConfig(
        name=_NAME.value,
        arms=tuple(studies.Arm.parse(text) for text in _ARMS.value),
        seeds=tuple(int(seed) for seed in _SEEDS.value),
        base=base,
        protocol=cli.config_from_flags(analysis.ProtocolConfig),
        num_folds=_NUM_FOLDS.value,
    )
    return studies.Study(config, epath.Path(_STUDY_DIR.value))


if __name__ == "__main__":
    cli.run(main)

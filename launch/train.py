r"""Trains one run, or goes on with it.

Example:
  python -m launch.train --run_dir=runs/one --data_dir=tfds \
    --task=synthetic_fundus_referable --model=cbr_tiny --image_size=64
"""

import json
from collections.abc import Sequence

from absl import flags

from launch import cli, progress_bar
from transfusion_tf import training

_RUN_DIR = flags.DEFINE_string(
    "run_dir", None, "Where the run is recorded.", required=True
)
cli.define_flags(training.TrainConfig)


def main(argv: Sequence[str]) -> None:
    """Trains the run of the flags to its end and prints its result."""
    del argv
    config = cli.config_from_flags(training.TrainConfig)
    strategy = training.prepare_runtime(
        config.num_threads,
        **{name: getattr(config, name) for name in training.DEVICE_FIELDS},
    )
    cli.prepare_synthetic_data(config)
    request = training.StopRequest()
    with (
        training.stop_on_signals(request),
        progress_bar.ProgressBar() as progress,
    ):
        trainer = training.Trainer(
            progress=progress, stop_request=request, strategy=strategy
        )
        run_data = trainer.data(config)
        print(run_data.describe())
        steps_per_epoch = run_data.train.train_steps_per_epoch(
            config.batch_size
        )
        progress.start(training.num_steps_of(config, steps_per_epoch))
        result = trainer.train(config, _RUN_DIR.value)
    print(json.dumps(result, indent=1))
    print(f"Records: {_RUN_DIR.value}")
    print(f"TensorBoard: tensorboard --logdir {_RUN_DIR.value}")


if __name__ == "__main__":
    cli.run(main)

"""Scores a finished run on a split, of its own or of another data set.

Example:
  python -m launch.evaluate --run_dir=runs/one --data_dir=tfds --split=test
"""

from collections.abc import Sequence

from absl import flags

from launch import cli
from transfusion_tf import data, evaluation, records, training

_RUN_DIR = flags.DEFINE_string(
    "run_dir", None, "The finished run.", required=True
)
_SPLIT = flags.DEFINE_enum(
    "split", "test", list(data.SPLIT_NAMES), "What to score."
)
_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Where prepare_data wrote the data sets."
)
_TASK = flags.DEFINE_string(
    "task", None, "Another task with the same classes. Default: the run's."
)
_DATASET_CONFIG = flags.DEFINE_string(
    "dataset_config",
    None,
    "Another prepared configuration of the data set. Default: the run's.",
)
_BATCH_SIZE = flags.DEFINE_integer(
    "batch_size", None, "Images at a time. Default: the run's.", lower_bound=1
)
_OUTPUT = flags.DEFINE_string(
    "output", None, "Also write the predictions to this .npz."
)
cli.define_flags(training.TrainConfig, only=training.DEVICE_FIELDS)


def main(argv: Sequence[str]) -> None:
    """Prints the metrics with intervals over patients."""
    del argv
    other_data = {
        name: value
        for name, value in (
            ("data_dir", _DATA_DIR.value),
            ("task", _TASK.value),
            ("dataset_config", _DATASET_CONFIG.value),
            ("batch_size", _BATCH_SIZE.value),
        )
        if value is not None
    }
    run = records.RunDirectory(_RUN_DIR.value)
    strategy = cli.prepare_runtime(run.config()["config"]["num_threads"])
    predictions, scores = training.score_run(
        _RUN_DIR.value,
        training.Trainer(strategy=strategy),
        split=_SPLIT.value,
        **other_data,
    )
    print(
        f"{run.path.name}, {_SPLIT.value}: {predictions.num_examples} images "
        f"of {predictions.num_patients} patients"
    )
    findings = scores.pop("findings", {})
    for name in scores:
        interval = evaluation.patient_interval(predictions, name)
        print(f"  {name:17}  {interval} (95 % interval over patients)")
    for place, (name, counts) in enumerate(findings.items()):
        of_finding = "AUC undefined"
        if counts["auc"] is not None:
            alone = predictions.finding(place)
            of_finding = f"AUC {evaluation.patient_interval(alone)}"
        print(
            f"  {name:17}  {of_finding}; {counts['num_positives']} positive, "
            f"{counts['num_negatives']} negative"
        )
    if _OUTPUT.value and training.is_chief(strategy):
        records.write_npz(_OUTPUT.value, **predictions.to_arrays())
        print(f"Predictions: {_OUTPUT.value}")


if __name__ == "__main__":
    cli.run(main)

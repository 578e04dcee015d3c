"""Which layers changed: similarity of stages between two checkpoints.

Before and after training of one run it is Figure 3 of the paper; between two
runs it is one point of its Figures 2 and 4.
"""

import dataclasses
import math
import warnings
from collections.abc import Sequence
from typing import Any

from etils import epath

from transfusion_tf import records, similarity, training
from transfusion_tf.analysis import activations


@dataclasses.dataclass(frozen=True)
class ProtocolConfig:
    """How activations are sampled and scored; every choice is recorded."""

    measure: str = dataclasses.field(
        default="cca",
        metadata={
            "help": f"{', '.join(similarity.MEASURES)}; the paper's is cca.",
            "choices": similarity.MEASURES,
        },
    )
    num_positions: int = dataclasses.field(
        default=10_000,
        metadata={"help": "Datapoints a score: positions in images."},
    )
    num_channels: int = dataclasses.field(
        default=64, metadata={"help": "Most neurons a score: channels."}
    )
    repeats: int = dataclasses.field(
        default=5, metadata={"help": "Samples of positions and channels."}
    )
    num_images: int = dataclasses.field(
        default=500, metadata={"help": "Most images to take positions from."}
    )
    sampling_seed: int = dataclasses.field(
        default=0, metadata={"help": "Seed of what is sampled."}
    )


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """Weights that a run kept.

    Attributes:
        run: The run.
        step: Steps done; 0 is the initialization.
    """

    run: records.RunDirectory
    step: int

    @property
    def path(self) -> epath.Path:
        """The weights' file.

        Raises:
            FileNotFoundError: If the run did not keep them.
        """
        path = self.run.weights_path(self.step)
        if not path.exists():
            kept = sorted(p.name for p in path.parent.glob("weights_*.h5"))
            raise FileNotFoundError(
                f"The run {self.run.path.name} keeps no weights of this step. "
                f"Received: step={self.step}; it keeps "
                f"{', '.join(kept) or 'none'}. Name one of those steps, or "
                f"train with --keep_checkpoint_steps={self.step}."
            )
        return path


def compare(
    first: Checkpoint,
    second: Checkpoint,
    *,
    capture: activations.StageActivations,
    run_data: training.TaskData,
    batch_size: int,
    config: ProtocolConfig | None = None,
    stages: Sequence[str] | None = None,
    other_measures: Sequence[str] = (),
) -> dict[str, Any]:
    """Scores every stage of one checkpoint against another's.

    A checkpoint of step 0 has its batch norm re-estimated on training images
    first. Both are then captured in inference mode on the test images.

    Args:
        first: One side; before training, for example.
        second: The other side, of the same architecture.
        capture: Of the network that the weights are loaded into.
        run_data: The images.
        batch_size: Images at once.
        config: How to sample and score.
        stages: The stages to score. Default: all.
        other_measures: Measures beside the configuration's, of the same
            samples.

    Returns:
        The content of `comparison.json`: per stage the score, at most 1, the
        null level, and what they were computed from.

    Raises:
        ValueError: If a stage is unknown or weights are damaged.
        FileNotFoundError: If a run did not keep the weights.

    Source: section 3 and the appendix on CCA of convolutional layers;
        Figure 3 of the paper.
    """
    config = config or ProtocolConfig()
    staged = capture.staged
    names = [
        staged.stage(name).name
        for name in stages or [stage.name for stage in staged.stages]
    ]
    sides = []
    for checkpoint in (first, second):
        training.load_weights(capture.staged.model, checkpoint.path)
        if checkpoint.step == 0:
            training.recalibrate_batch_norm(
                capture.staged,
                run_data.train,
                preprocessing=capture.preprocessing,
                num_images=config.num_images,
                batch_size=batch_size,
            )
        sides.append(
            capture(
                run_data.test,
                num_images=config.num_images,
                batch_size=batch_size,
            )
        )
    is_one_run = first.run.path == second.run.path
    # Between two runs the index of a channel means nothing.
    channels = "same" if is_one_run else "independent"
    scored = {
        measure: [
            _score_stage(
                name,
                sides,
                channels,
                dataclasses.replace(config, measure=measure),
            )
            for name in names
        ]
        for measure in (config.measure, *other_measures)
    }
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
            "num_images": min(
                config.num_images, run_data.test.split.num_examples
            ),
            "max_grid_positions": activations.MAX_GRID_POSITIONS,
            "seed": config.sampling_seed,
        },
        "stages": scored.pop(config.measure),
        "other_measures": scored,
    }


def compare_runs(
    first: Checkpoint,
    second: Checkpoint,
    trainer: training.Trainer,
    *,
    config: ProtocolConfig | None = None,
    data_dir: str | None = None,
    stages: Sequence[str] | None = None,
    other_measures: Sequence[str] = (),
) -> dict[str, Any]:
    """Opens data and network of two runs' checkpoints and compares them.

    Args:
        first: One side.
        second: The other side.
        trainer: Keeps the network and the data.
        config: How to sample and score.
        data_dir: Where the runs' data set is prepared.
        stages: See `compare`.
        other_measures: See `compare`.

    Returns:
        See `compare`.

    Raises:
        ValueError: If the runs are of different models, image sizes or data.
        FileNotFoundError: See `compare`.
    """
    records_of = [side.run.config() for side in (first, second)]
    _check_comparable(records_of)
    run_config = training.TrainConfig.from_record(
        records_of[0]["config"], data_dir=data_dir
    )
    run_data = trainer.data(run_config)
    program = trainer.program(run_config, run_data)
    return compare(
        first,
        second,
        capture=activations.StageActivations(
            program.staged, program.preprocessing
        ),
        run_data=run_data,
        batch_size=run_config.batch_size,
        config=config,
        stages=stages,
        other_measures=other_measures,
    )


def _check_comparable(configs: list[dict[str, Any]]) -> None:
    for where, key in (
        ("config", "model"),
        ("config", "image_size"),
        ("config", "task"),
        ("data", "test"),
    ):
        values = [config[where][key] for config in configs]
        if values[0] != values[1]:
            raise ValueError(
                "Only runs of one model on one data set can be compared by "
                f"stage. Received: {key}={values[0]!r} and {values[1]!r}. "
                "Name two runs that differ in seed or initialization only."
            )


def _score_stage(
    name: str,
    sides: list[dict[str, Any]],
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

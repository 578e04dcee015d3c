"""What a comparison is asked for, so that it is not made a second time."""

import dataclasses
import hashlib
import os
from collections.abc import Sequence
from typing import Any

from etils import epath

from transfusion_tf import models, records, similarity, training


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


def two_checkpoints(
    run_a: epath.PathLike,
    run_b: epath.PathLike | None = None,
    step_a: int | None = None,
    step_b: int | None = None,
) -> tuple[Checkpoint, Checkpoint]:
    """Names the checkpoints that are compared where nothing else is said.

    Args:
        run_a: Directory of a finished run.
        run_b: That of another. Default: the same.
        step_a: Default: 0, or the last with `run_b`.
        step_b: Default: the last.

    Returns:
        Both sides of the comparison.

    Raises:
        FileNotFoundError: If a run is not finished.
    """
    first = records.RunDirectory(run_a)
    second = records.RunDirectory(run_a if run_b is None else run_b)
    if step_a is None:
        step_a = 0 if run_b is None else first.result()["num_steps"]
    if step_b is None:
        step_b = second.result()["num_steps"]
    return Checkpoint(first, step_a), Checkpoint(second, step_b)


@dataclasses.dataclass(frozen=True)
class ComparisonRequest:
    """What a comparison is asked for.

    Attributes:
        first: One side; before training, for example.
        second: The other side, of the same architecture.
        config: How to sample and score.
        stages: The stages to score. Default: all of the model.
        other_measures: Measures beside the configuration's, of the same
            samples.
    """

    first: Checkpoint
    second: Checkpoint
    config: ProtocolConfig = ProtocolConfig()
    stages: Sequence[str] | None = None
    other_measures: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Finds what cannot be scored before anything is captured.

        Raises:
            ValueError: If a stage or a measure is unknown.
            FileNotFoundError: If the first run has no `config.json`.
        """
        similarity.check_measures(self.measures)
        known = models.stage_names(self.first.run.config()["config"]["model"])
        unknown = [name for name in self.stages or () if name not in known]
        if unknown:
            raise ValueError(
                "There is no such stage. Received: "
                f"{', '.join(map(repr, unknown))}. The stages of this model "
                f"are {', '.join(known)}."
            )

    @property
    def measures(self) -> list[str]:
        """All measures, the configuration's first."""
        return [self.config.measure, *self.other_measures]

    @property
    def stage_names(self) -> list[str]:
        """The stages to score, in order."""
        model = self.first.run.config()["config"]["model"]
        return list(self.stages or models.stage_names(model))

    def record(self) -> dict[str, Any]:
        """Spells the request out, by the names of the flags.

        A run is told by its name and by the hash of its `config.json`, so
        that another run of the same name is another request.
        """
        protocol = dataclasses.asdict(self.config)
        del protocol["measure"]
        return {
            "run_a": _told_apart(self.first.run),
            "run_b": _told_apart(self.second.run),
            "step_a": self.first.step,
            "step_b": self.second.step,
            "measures": self.measures,
            "stages": self.stage_names,
            **protocol,
        }


def finished_comparison(
    path: epath.PathLike, request: ComparisonRequest
) -> dict[str, Any] | None:
    """Returns a comparison that was made before, or None.

    Args:
        path: Where its `comparison.json` would stand.
        request: What is asked for.

    Returns:
        Its content, or None where there is no such file.

    Raises:
        ValueError: If it answers another request, naming each difference.
    """
    path = epath.Path(path)
    if not path.exists():
        return None
    comparison = records.read_json(path)
    differences = training.differences(
        comparison.get("request", {}), request.record()
    )
    if differences:
        raise ValueError(
            f"{os.fspath(path)!r} is a comparison of another request. "
            f"Received: {'; '.join(differences)}. Give the same flags to read "
            "it, name another directory, or delete the file to compare anew."
        )
    return comparison


def _told_apart(run: records.RunDirectory) -> str:
    run.config()  # Says what is missing, and of another schema.
    digest = hashlib.sha256(run.config_path.read_bytes()).hexdigest()
    return f"{run.path.name} (config.json {digest[:12]})"

"""What a study compares: arms, each trained with every seed."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from transfusion_tf import records, training
from transfusion_tf.analysis import ProtocolConfig

_OF_NO_DONOR = ("random", "transfuse:none")


@dataclasses.dataclass(frozen=True)
class Arm:
    """A model and where its first values come from.

    Attributes:
        model: Architecture.
        init: Scheme of initialization.
    """

    model: str
    init: str

    @classmethod
    def parse(cls, text: str) -> "Arm":
        """Reads `model/init`.

        Raises:
            ValueError: If it is not of that form.

        Example:
        >>> Arm.parse("cbr_tiny/random")
        Arm(model='cbr_tiny', init='random')
        """
        # A variant's factor has a slash too, a scheme has none.
        model, slash, init = text.rpartition("/")
        if not (model and slash and init):
            raise ValueError(
                "An arm is written model/init. Received: "
                f"{text!r}. Use --arms=resnet50/transfer,resnet50/random, "
                "for example."
            )
        return cls(model, init)

    def __str__(self) -> str:
        """Returns `model/init`."""
        return f"{self.model}/{self.init}"


@dataclasses.dataclass(frozen=True)
class StudyConfig:
    """Arms, seeds and folds over one base configuration.

    Attributes:
        name: What the report calls the study.
        arms: At least one, no two alike.
        seeds: At least one, no two alike; the same for every arm.
        base: What all runs share; its model, init and seed are not used.
        protocol: How similarity before and after training is sampled.
        num_folds: Folds of a cross-validation by patient, each trained with
            every arm and seed; `None` for the data set's own splits.
    """

    name: str
    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]
    base: training.TrainConfig
    protocol: ProtocolConfig
    num_folds: int | None = None

    def __post_init__(self) -> None:
        """Checks arms and seeds, and through them every run."""
        _check_distinct("arms", self.arms)
        _check_distinct("seeds", self.seeds)
        if self.num_folds is not None and self.base.fold is not None:
            raise ValueError(
                "A study trains one fold or all of them. Received: fold="
                f"{self.base.fold!r}, num_folds={self.num_folds}. Leave out "
                "--fold or --num_folds."
            )
        self.runs()

    def runs(self) -> list[training.TrainConfig]:
        """Returns the runs.

        Those of one architecture, and in them those of one fold, stand next
        to one another: they share a compiled program, and data.
        """
        models = dict.fromkeys(arm.model for arm in self.arms)
        return [
            dataclasses.replace(
                self.base,
                model=arm.model,
                init=arm.init,
                donor=None if arm.init in _OF_NO_DONOR else self.base.donor,
                seed=seed,
                fold=fold,
            )
            for model in models
            for fold in self.folds
            for arm in self.arms
            if arm.model == model
            for seed in self.seeds
        ]

    @property
    def folds(self) -> list[str | None]:
        """The folds as `TrainConfig.fold` names them, or the base's own."""
        if self.num_folds is None:
            return [self.base.fold]
        return [f"{i + 1}/{self.num_folds}" for i in range(self.num_folds)]

    def is_compared(self, config: training.TrainConfig) -> bool:
        """Tells whether a run's layers are compared before and after.

        With folds, those of the first fold are: another fold is another set
        of images and no other question.
        """
        return config.fold == self.folds[0]

    def record(self, command: str) -> dict[str, Any]:
        """Returns the content of `study.json`."""
        return {
            "schema_version": records.SCHEMA_VERSION,
            "name": self.name,
            "task": self.base.task,
            "arms": [dataclasses.asdict(arm) for arm in self.arms],
            "seeds": list(self.seeds),
            "num_folds": self.num_folds,
            "fold": self.base.fold,
            "auc_threshold": self.base.auc_threshold,
            "protocol": dataclasses.asdict(self.protocol),
            "command": command,
        }


def _check_distinct(name: str, values: Sequence[Any]) -> None:
    if not values or len(set(values)) < len(values):
        raise ValueError(
            f"A study needs one or more {name}, no two alike. Received: "
            f"{name}={', '.join(map(str, values)) or 'none'}. Mend --{name}."
        )

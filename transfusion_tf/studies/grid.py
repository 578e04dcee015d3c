"""What a study compares: arms, each trained with every seed."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from transfusion_tf import records, training
from transfusion_tf.analysis import ProtocolConfig


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
        model, slash, init = text.partition("/")
        if not (model and slash and init):
            raise ValueError(
                "An arm is written model/init. Received: "
                f"{text!r}. Use --arms=resnet50/transfer,resnet50/random, "
                "for example."
            )
        return cls(model, init)


@dataclasses.dataclass(frozen=True)
class StudyConfig:
    """Arms and seeds over one base configuration.

    Attributes:
        name: What the report calls the study.
        arms: At least one, no two alike.
        seeds: At least one, no two alike; the same for every arm.
        base: What all runs share; its model, init and seed are not used.
        protocol: How similarity before and after training is sampled.
    """

    name: str
    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]
    base: training.TrainConfig
    protocol: ProtocolConfig

    def __post_init__(self) -> None:
        """Checks arms and seeds, and through them every run."""
        _check_distinct("arms", self.arms)
        _check_distinct("seeds", self.seeds)
        self.runs()

    def runs(self) -> list[training.TrainConfig]:
        """Returns the runs, those of one architecture next to one another."""
        arms = sorted(self.arms, key=self._first_place_of_model)
        return [
            dataclasses.replace(
                self.base,
                model=arm.model,
                init=arm.init,
                donor=None if arm.init == "random" else self.base.donor,
                seed=seed,
            )
            for arm in arms
            for seed in self.seeds
        ]

    def record(self, command: str) -> dict[str, Any]:
        """Returns the content of `study.json`."""
        return {
            "schema_version": records.SCHEMA_VERSION,
            "name": self.name,
            "task": self.base.task,
            "arms": [dataclasses.asdict(arm) for arm in self.arms],
            "seeds": list(self.seeds),
            "auc_threshold": self.base.auc_threshold,
            "protocol": dataclasses.asdict(self.protocol),
            "command": command,
        }

    def _first_place_of_model(self, arm: Arm) -> int:
        return [other.model for other in self.arms].index(arm.model)


def _check_distinct(name: str, values: Sequence[Any]) -> None:
    if not values or len(set(values)) < len(values):
        raise ValueError(
            f"A study needs one or more {name}, no two alike. Received: "
            f"{name}={', '.join(map(str, values)) or 'none'}. Mend --{name}."
        )

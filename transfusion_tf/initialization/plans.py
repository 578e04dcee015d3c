"""Plans: for each stage, the source of its first values."""

import dataclasses
from collections.abc import Mapping, Sequence

from transfusion_tf.initialization import sources

SCHEMES: tuple[str, ...] = ("random", "transfer")
# `source`: batch norms do as the source of their stage does. `identity`: scale
# 1, shift 0, moving mean 0, moving variance 1 in every stage.
BATCH_NORM_POLICIES: tuple[str, ...] = ("source", "identity")


@dataclasses.dataclass(frozen=True)
class Plan:
    """A scheme, spelled out.

    The head is in no plan: it is always random, because its outputs are those
    of the task.

    Attributes:
        scheme: The name it was parsed from.
        stages: `{stage name: source}`, every stage of the model.
        batch_norm: One of `BATCH_NORM_POLICIES`.
    """

    scheme: str
    stages: Mapping[str, sources.Source]
    batch_norm: str = "source"

    def __post_init__(self) -> None:
        """Checks the policy.

        Raises:
            ValueError: There is no such policy.
        """
        if self.batch_norm not in BATCH_NORM_POLICIES:
            raise ValueError(
                "Unknown batch norm policy. Received: "
                f"batch_norm={self.batch_norm!r}. Policies are "
                f"{', '.join(BATCH_NORM_POLICIES)}."
            )

    @property
    def needs_donor(self) -> bool:
        """Whether any stage takes from a donor."""
        return any(source.needs_donor for source in self.stages.values())


def parse_scheme(scheme: str, stages: Sequence[str]) -> Plan:
    """Spells out a scheme.

    Args:
        scheme: One of `SCHEMES`: `random` draws every stage, `transfer` copies
            every stage from the donor.
        stages: Names of the model's stages, in model order.

    Returns:
        The plan.

    Raises:
        ValueError: The scheme is unknown.

    Example:
        >>> plan = parse_scheme("transfer", ["conv1", "conv2"])
        >>> {stage: source.name for stage, source in plan.stages.items()}
        {'conv1': 'copy', 'conv2': 'copy'}

    Source: section 3 (random initialization against transfer).
    """
    everywhere: Mapping[str, sources.Source] = {
        "random": sources.Random(),
        "transfer": sources.Copy(),
    }
    if scheme not in everywhere:
        raise ValueError(
            f"Unknown initialization. Received: scheme={scheme!r}. "
            f"Schemes are {', '.join(SCHEMES)} (--init=...)."
        )
    return Plan(scheme, {stage: everywhere[scheme] for stage in stages})

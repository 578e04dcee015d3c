"""Plans: for each stage, the source of its first values."""

import dataclasses
from collections.abc import Mapping, Sequence

from transfusion_tf.initialization import sources

# What `stage=source,...` may name.
SOURCES: Mapping[str, sources.Source] = {
    source.name: source
    for source in (
        sources.Random(),
        sources.Copy(),
        sources.Resample("mean_var"),
        sources.Resample("empirical"),
        sources.Resample("shuffle"),
        sources.Gabor(),
    )
}
# Schemes with one source for every stage.
_EVERYWHERE = {
    "random": "random",
    "transfer": "copy",
    "mean_var": "mean_var",
    "empirical": "empirical",
    "shuffle": "shuffle",
}
# Schemes `NAME:S`: the source up to and including stage S, and after it.
_UP_TO = {"transfuse": ("copy", "random"), "wt_st": ("copy", "mean_var")}
NO_STAGE = "none"
SCHEMES: tuple[str, ...] = (
    *_EVERYWHERE,
    "gabor",
    *(f"{name}:STAGE" for name in _UP_TO),
    "STAGE=SOURCE,...",
)

# What batch norm's scale, shift and moving statistics begin with. `transfer`:
# the donor's. `identity`: 1, 0, 0 and 1. `mean_var`: drawn from the moments of
# the donor's. `recalibrate`: scale and shift of the donor where the stage is
# copied, else 1 and 0; moving statistics estimated on training data.
BATCH_NORM_POLICIES: tuple[str, ...] = (
    "identity",
    "mean_var",
    "transfer",
    "recalibrate",
)


@dataclasses.dataclass(frozen=True)
class Plan:
    """A scheme, spelled out.

    The head is in no plan: it is always random, because its outputs are those
    of the task.

    Attributes:
        scheme: The name it was parsed from.
        stages: `{stage name: source}`, every stage of the model.
        copied_batch_norm: One of `BATCH_NORM_POLICIES`, for copied stages.
        other_batch_norm: The same for the other stages.
        resample_biases: Whether stages that resample a donor's values resample
            the biases of convolutions too; else these are zeros.
    """

    scheme: str
    stages: Mapping[str, sources.Source]
    copied_batch_norm: str = "transfer"
    other_batch_norm: str = "identity"
    resample_biases: bool = False

    def __post_init__(self) -> None:
        """Checks the policies.

        Raises:
            ValueError: There is no such policy.
        """
        for name in ("copied_batch_norm", "other_batch_norm"):
            policy = getattr(self, name)
            if policy not in BATCH_NORM_POLICIES:
                raise ValueError(
                    f"Unknown batch norm policy. Received: {name}={policy!r}. "
                    f"Policies are {', '.join(BATCH_NORM_POLICIES)}."
                )

    def batch_norm(self, stage: str) -> str:
        """Returns the policy for a stage's batch norms; the head has none."""
        if self.stages[stage].name == "copy":
            return self.copied_batch_norm
        return self.other_batch_norm

    @property
    def needs_donor(self) -> bool:
        """Whether anything cannot be made without a donor."""
        return any(
            source.needs_donor or self.batch_norm(stage) in _FROM_DONOR
            for stage, source in self.stages.items()
        )

    @property
    def may_use_donor(self) -> bool:
        """Whether anything is taken from a donor that is given."""
        return self.needs_donor or any(
            source.may_use_donor for source in self.stages.values()
        )

    @property
    def recalibrated(self) -> tuple[str, ...]:
        """The stages whose moving statistics are estimated on data."""
        return tuple(
            stage
            for stage in self.stages
            if self.batch_norm(stage) == "recalibrate"
        )


_FROM_DONOR = ("transfer", "mean_var")


def parse_scheme(
    scheme: str,
    stages: Sequence[str],
    *,
    copied_batch_norm: str = "transfer",
    other_batch_norm: str = "identity",
    resample_biases: bool = False,
) -> Plan:
    """Spells out a scheme.

    Args:
        scheme: One of `SCHEMES`. `random` draws every stage; `transfer` copies
            every stage from the donor; `mean_var`, `empirical` and `shuffle`
            keep the donor's statistics and none of its features; `gabor` gives
            the first convolution synthetic filters and draws the rest;
            `transfuse:S` copies up to and including stage S and draws the rest
            (S may be `none`), `wt_st:S` has mean_var for the rest; or a plan
            such as `conv1=copy,block1..block2=mean_var,block3..=random`.
        stages: Names of the model's stages, in model order.
        copied_batch_norm: See `Plan`.
        other_batch_norm: See `Plan`.
        resample_biases: See `Plan`.

    Returns:
        The plan.

    Raises:
        ValueError: The scheme, a stage, a source or a policy is unknown, or a
            plan names a stage twice or not at all.

    Example:
        >>> plan = parse_scheme("transfuse:conv1", ["conv1", "conv2"])
        >>> {stage: source.name for stage, source in plan.stages.items()}
        {'conv1': 'copy', 'conv2': 'random'}

    Source: sections 3 (transfer), 5 (Mean Var, transfusion, Gabor filters);
        Matsoukas et al. 2022 (wt_st, which is not transfusion: what follows S
        has the donor's statistics).
    """
    name, colon, stage = scheme.partition(":")
    if "=" in scheme:
        chosen = _spelled_out(scheme, stages)
    elif scheme in _EVERYWHERE:
        chosen = dict.fromkeys(stages, _EVERYWHERE[scheme])
    elif scheme == "gabor":
        chosen = dict.fromkeys(stages, "random") | {stages[0]: "gabor"}
    elif colon and name in _UP_TO:
        chosen = _up_to(scheme, stage, stages, *_UP_TO[name])
    else:
        raise ValueError(
            f"Unknown initialization. Received: scheme={scheme!r}. "
            f"Schemes are {', '.join(SCHEMES)} (--init=...)."
        )
    return Plan(
        scheme,
        {stage: SOURCES[source] for stage, source in chosen.items()},
        copied_batch_norm,
        other_batch_norm,
        resample_biases,
    )


def _up_to(
    scheme: str, last: str, stages: Sequence[str], before: str, after: str
) -> dict[str, str]:
    if last != NO_STAGE:
        _check_stage(scheme, last, stages)
    num_before = 0 if last == NO_STAGE else list(stages).index(last) + 1
    return {
        stage: before if place < num_before else after
        for place, stage in enumerate(stages)
    }


def _spelled_out(scheme: str, stages: Sequence[str]) -> dict[str, str]:
    chosen: dict[str, str] = {}
    for part in scheme.split(","):
        text, _, source = part.partition("=")
        if source not in SOURCES:
            raise ValueError(
                f"A plan names sources. Received: {part!r} in "
                f"scheme={scheme!r}. Sources are {', '.join(SOURCES)}, as in "
                f"{stages[0]}=copy."
            )
        for stage in _named(scheme, text, stages):
            if stage in chosen:
                raise ValueError(
                    f"A plan names each stage once. Received: {stage!r} twice "
                    f"in scheme={scheme!r}. Leave one out."
                )
            chosen[stage] = source
    missing = [stage for stage in stages if stage not in chosen]
    if missing:
        raise ValueError(
            "A plan names each stage once. Received: no source for "
            f"{', '.join(missing)} in scheme={scheme!r}. Add "
            f"{missing[0]}..=random, for example."
        )
    if any(chosen[stage] == "gabor" for stage in stages[1:]):
        raise ValueError(
            "Gabor filters are for the first stage. Received: "
            f"scheme={scheme!r}. Use {stages[0]}=gabor."
        )
    return {stage: chosen[stage] for stage in stages}


def _named(scheme: str, text: str, stages: Sequence[str]) -> Sequence[str]:
    """The stages of `S`, `S..T`, `S..` or `..T`."""
    first, dots, last = text.partition("..")
    first, last = first or stages[0], (last or stages[-1]) if dots else first
    for stage in (first, last):
        _check_stage(scheme, stage, stages)
    start, stop = (list(stages).index(stage) for stage in (first, last))
    if start > stop:
        raise ValueError(
            f"A range of stages goes forwards. Received: {text!r} in "
            f"scheme={scheme!r}. Write {last}..{first}."
        )
    return stages[start : stop + 1]


def _check_stage(scheme: str, stage: str, stages: Sequence[str]) -> None:
    if stage not in stages:
        raise ValueError(
            f"The model has no such stage. Received: {stage!r} in "
            f"scheme={scheme!r}. Its stages are {', '.join(stages)}."
        )

"""The statistics of a study that tables, figures and verdict all show."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from transfusion_tf import evaluation
from transfusion_tf.reporting.runs import Arm, RunRecord
from transfusion_tf.reporting.study import StudyRecords

BASELINE_INIT = "random"


@dataclasses.dataclass(frozen=True, eq=False)
class RunSummary:
    """One finished run.

    Attributes:
        run: Its record.
        test: Its test metric with the patient interval.
        second: The study's second metric on test; None where it has none.
        steps: Steps to the threshold on validation.
    """

    run: RunRecord
    test: evaluation.Interval
    second: float | None
    steps: evaluation.StepsToThreshold


@dataclasses.dataclass(frozen=True, eq=False)
class ArmSummary:
    """One arm.

    Attributes:
        arm: Its model and initialization.
        donor: What the donor is, in words, or None.
        num_parameters: All parameters, or None without a finished run.
        num_missing: Runs that are not finished.
        runs: Its finished runs, by seed.
        seed: Student's t interval of the test metric, from 3 seeds.
        joint: Joint interval of the test metric, from 3 seeds.
        second: Student's t interval of the second metric, from 3 seeds.
        steps: Steps to the threshold, or None without a finished run.
    """

    arm: Arm
    donor: str | None
    num_parameters: int | None
    num_missing: int
    runs: tuple[RunSummary, ...]
    seed: evaluation.Interval | None
    joint: evaluation.Interval | None
    second: evaluation.Interval | None
    steps: evaluation.StepsSummary | None


@dataclasses.dataclass(frozen=True, eq=False)
class Difference:
    """The test metric of one arm less that of another.

    Attributes:
        first: The arm subtracted from.
        second: The arm subtracted.
        seeds: Seeds that both arms finished.
        joint: Joint interval over paired seeds and patients, from 3 seeds.
        seed: Student's t interval over the seeds' differences, from 3 seeds.
        by_seed: Seed -> difference with its interval over patients alone.
    """

    first: Arm
    second: Arm
    seeds: tuple[int, ...]
    joint: evaluation.Interval | None
    seed: evaluation.Interval | None
    by_seed: dict[int, evaluation.Interval]


@dataclasses.dataclass(frozen=True, eq=False)
class FindingSummary:
    """One finding.

    Attributes:
        name: Its name.
        num_positives: Test images that show it.
        num_negatives: Test images that do not.
        num_runs: Arm to the number of its runs.
        by_run: Arm to the AUCs of its runs with patient intervals, where
            there are fewer than 3 seeds.
        joint: Arm to the joint interval of its mean AUC, from 3 seeds.
        differences: Arm to the joint interval of its mean AUC less that of
            the same model from random initialization, from 3 seeds.
    """

    name: str
    num_positives: int
    num_negatives: int
    num_runs: dict[Arm, int]
    by_run: dict[Arm, tuple[evaluation.Interval, ...]]
    joint: dict[Arm, evaluation.Interval]
    differences: dict[Arm, evaluation.Interval]


@dataclasses.dataclass(frozen=True, eq=False)
class Summary:
    """A study in numbers.

    Attributes:
        study: Its records.
        arms: One summary an arm, in the order of the study.
        differences: Each model's other initializations less random.
        small: The smallest model's best-placed arm less the largest's, or
            None with one model.
        findings: One summary a finding; empty of one label.
    """

    study: StudyRecords
    arms: tuple[ArmSummary, ...]
    differences: tuple[Difference, ...]
    small: Difference | None
    findings: tuple[FindingSummary, ...] = ()

    def arm(self, arm: Arm) -> ArmSummary:
        """Returns the summary of an arm."""
        return next(a for a in self.arms if a.arm == arm)


def summarize(study: StudyRecords) -> Summary:
    """Computes every number that a report shows.

    Args:
        study: The records.

    Returns:
        The summary.
    """
    arms = tuple(_summarize_arm(study, arm) for arm in study.arms)
    baselines = {a.model: a for a in study.arms if a.init == BASELINE_INIT}
    differences = [
        _difference(study, arm, baselines[arm.model])
        for arm in study.arms
        if arm.init != BASELINE_INIT and arm.model in baselines
    ]
    return Summary(
        study,
        arms,
        tuple(d for d in differences if d is not None),
        _small_against_large(study, arms),
        tuple(
            _summarize_finding(study, place)
            for place in range(len(study.findings))
        ),
    )


def _summarize_finding(study: StudyRecords, place: int) -> FindingSummary:
    label = study.runs[0].test.label[:, place]
    tests = {
        arm: {r.seed: r.test.finding(place) for r in study.runs_of(arm)}
        for arm in study.arms
    }
    joint, differences = {}, {}
    for arm, of_seed in tests.items():
        if len(of_seed) >= evaluation.MIN_SEEDS:
            joint[arm] = evaluation.joint_interval(list(of_seed.values()))
        baseline = tests.get(Arm(arm.model, BASELINE_INIT), {})
        seeds = sorted(of_seed.keys() & baseline.keys())
        is_baseline = arm.init == BASELINE_INIT
        if not is_baseline and len(seeds) >= evaluation.MIN_SEEDS:
            differences[arm] = evaluation.joint_difference_interval(
                [of_seed[seed] for seed in seeds],
                [baseline[seed] for seed in seeds],
            )
    return FindingSummary(
        name=study.findings[place],
        num_positives=int((label == 1).sum()),
        num_negatives=int((label == 0).sum()),
        num_runs={arm: len(of_seed) for arm, of_seed in tests.items()},
        by_run={
            arm: tuple(map(evaluation.patient_interval, of_seed.values()))
            for arm, of_seed in tests.items()
            if arm not in joint
        },
        joint=joint,
        differences=differences,
    )


def _summarize_arm(study: StudyRecords, arm: Arm) -> ArmSummary:
    runs = study.runs_of(arm)
    summaries = tuple(_summarize_run(study, run) for run in runs)
    enough = len(runs) >= evaluation.MIN_SEEDS
    second = [s.second for s in summaries if s.second is not None]
    return ArmSummary(
        arm=arm,
        donor=runs[0].donor if runs else None,
        num_parameters=runs[0].num_parameters if runs else None,
        num_missing=len(study.seeds) - len(runs),
        runs=summaries,
        seed=evaluation.seed_interval([s.test.estimate for s in summaries])
        if enough
        else None,
        joint=evaluation.joint_interval([r.test for r in runs], study.metric)
        if enough
        else None,
        second=evaluation.seed_interval(second) if enough and second else None,
        steps=evaluation.summarize_steps([s.steps for s in summaries])
        if runs
        else None,
    )


def _summarize_run(study: StudyRecords, run: RunRecord) -> RunSummary:
    second = study.second_metric
    return RunSummary(
        run=run,
        test=evaluation.patient_interval(run.test, study.metric),
        second=None if second is None else run.test.metric(second),
        steps=evaluation.steps_to_threshold(
            run.curve_steps, run.curve, study.threshold
        ),
    )


def _difference(
    study: StudyRecords, first: Arm, second: Arm
) -> Difference | None:
    ours = {run.seed: run for run in study.runs_of(first)}
    theirs = {run.seed: run for run in study.runs_of(second)}
    seeds = tuple(sorted(ours.keys() & theirs.keys()))
    if not seeds:
        return None
    pairs = [(ours[seed].test, theirs[seed].test) for seed in seeds]
    by_seed = {
        seed: evaluation.patient_difference_interval(*pair, study.metric)
        for seed, pair in zip(seeds, pairs, strict=True)
    }
    joint = over_seeds = None
    if len(seeds) >= evaluation.MIN_SEEDS:
        joint = evaluation.joint_difference_interval(
            [p[0] for p in pairs], [p[1] for p in pairs], study.metric
        )
        over_seeds = evaluation.seed_interval(
            [interval.estimate for interval in by_seed.values()]
        )
    return Difference(first, second, seeds, joint, over_seeds, by_seed)


def _small_against_large(
    study: StudyRecords, arms: Sequence[ArmSummary]
) -> Difference | None:
    """The smallest model against the largest as each would be used.

    The large one is taken with transfer and the small one from random where
    the study has them so; which arm it is does not depend on test results.
    """
    sized = [
        (a.num_parameters, a) for a in arms if a.num_parameters is not None
    ]
    sizes = sorted({(size, a.arm.model) for size, a in sized})
    if len({model for _, model in sizes}) < 2:
        return None
    small = [a.arm for _, a in sized if a.arm.model == sizes[0][1]]
    large = [a.arm for _, a in sized if a.arm.model == sizes[-1][1]]
    return _difference(
        study,
        min(small, key=lambda arm: arm.init != BASELINE_INIT),
        min(large, key=lambda arm: arm.init == BASELINE_INIT),
    )

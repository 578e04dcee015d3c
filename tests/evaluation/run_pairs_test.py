"""Resampling runs of which pairs were made; scipy and counting by hand."""

import itertools

import numpy as np
import pytest
from scipy import stats

from transfusion_tf import evaluation
from transfusion_tf.evaluation import run_pairs

RANDOM = [evaluation.Run("random", seed) for seed in range(3)]
TRANSFER = [evaluation.Run("transfer", seed) for seed in range(3)]
WITHIN = list(itertools.combinations(RANDOM, 2))
BETWEEN = list(itertools.product(RANDOM, TRANSFER))


def test_an_interval_is_that_of_all_resamples_of_three_runs():
    # Of 27 resamples 6 hold all three runs, 6 each of the three pairs of two
    # runs, and 3 one run thrice: no pair.
    scores = [[0.1], [0.2], [0.6]]
    outcomes = np.repeat([0.3, 0.1, 0.2, 0.6], 6)
    for level in (0.4, 0.6, 0.9):
        interval = evaluation.pairs_interval(
            WITHIN, scores, level=level, num_resamples=20_000
        )
        ends = np.quantile(
            outcomes,
            [(1 - level) / 2, (1 + level) / 2],
            method="inverted_cdf",
        )
        assert (interval.low, interval.high) == pytest.approx(tuple(ends))
    assert interval.estimate == pytest.approx(0.3)
    assert interval.num_redrawn / 20_000 == pytest.approx(1 / 9, abs=0.01)
    assert interval.method == (
        "bootstrap of 3 runs of random, then of 1 samples"
    )


def test_samples_are_resampled_too_the_same_of_every_pair():
    # No pair differs from another: what is left is the chance of samples.
    samples = np.array([0.1, 0.2, 0.4, 0.5])
    scores = np.tile(samples, [3, 1])
    interval = evaluation.pairs_interval(
        WITHIN, scores, level=0.8, num_resamples=20_000
    )
    means = [np.mean(s) for s in itertools.product(samples, repeat=4)]
    ends = np.quantile(means, [0.1, 0.9], method="inverted_cdf")
    assert (interval.low, interval.high) == pytest.approx(ends, abs=0.011)


def test_runs_of_each_arm_are_resampled_on_their_own():
    # Only the transferred run matters: the resamples are those of 3 runs.
    effects = np.array([0.0, 0.3, 0.9])
    scores = np.tile(effects, 3)[:, None]
    interval = evaluation.pairs_interval(
        BETWEEN, scores, level=0.8, num_resamples=20_000
    )
    means = [np.mean(s) for s in itertools.product(effects, repeat=3)]
    ends = np.quantile(means, [0.1, 0.9], method="inverted_cdf")
    assert (interval.low, interval.high) == pytest.approx(ends, abs=1e-9)
    assert interval.num_redrawn == 0


def test_a_run_of_both_sets_is_drawn_once_for_both():
    # The scores are a random run's own effect, in both sets.
    effect = dict(zip(RANDOM, (0.0, 0.2, 0.7), strict=True))
    within = [[effect[a] + effect[b]] for a, b in WITHIN]
    between = [[2 * effect[a]] for a, _ in BETWEEN]
    outcomes = []
    for drawn in itertools.product(RANDOM, repeat=3):
        pairs = [p for p in itertools.combinations(drawn, 2) if p[0] != p[1]]
        if pairs:
            ours = np.mean([effect[a] + effect[b] for a, b in pairs])
            outcomes.append(ours - 2 * np.mean([effect[a] for a in drawn]))
    for level in (0.4, 0.6, 0.9):
        interval = evaluation.pairs_difference_interval(
            WITHIN, within, BETWEEN, between, level=level, num_resamples=20_000
        )
        ends = np.quantile(
            outcomes, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf"
        )
        assert (interval.low, interval.high) == pytest.approx(tuple(ends))
        assert interval.estimate == pytest.approx(0)


def test_ninety_five_percent_of_the_intervals_hold_the_truth():
    runs = [evaluation.Run("random", seed) for seed in range(12)]
    pairs = list(itertools.combinations(range(12), 2))
    generator = np.random.default_rng(0)
    num_right = 0
    for trial in range(200):
        effects = generator.normal(size=12)
        scores = [[effects[a] + effects[b]] for a, b in pairs]
        interval = evaluation.pairs_interval(
            [(runs[a], runs[b]) for a, b in pairs],
            scores,
            num_resamples=200,
            seed=trial,
        )
        num_right += not interval.excludes(0.0)
    # Resampling the 66 pairs as if they were independent gives 0.4.
    assert 0.86 < num_right / 200 < 0.99


def test_a_line_is_scipys_and_a_resample_is_its_rows_repeated():
    generator = np.random.default_rng(1)
    x = generator.normal(size=[9, 4])
    y = 0.5 * x + generator.normal(size=[9, 4])
    fit = evaluation.fit_pairs(BETWEEN, x, y)
    expected = stats.linregress(x.ravel(), y.ravel())
    assert fit.slope == pytest.approx(expected.slope)
    assert fit.intercept == pytest.approx(expected.intercept)
    assert fit.r_squared.estimate == pytest.approx(expected.rvalue**2)
    (weights,) = run_pairs._draw_weights([BETWEEN], 4, 20, seed=0)
    received = run_pairs._weighted_r_squared(weights, x, y)
    for drawn, value in zip(weights, received, strict=True):
        count = drawn.ravel().astype(int)
        again = stats.linregress(
            np.repeat(x.ravel(), count), np.repeat(y.ravel(), count)
        )
        assert value == pytest.approx(again.rvalue**2)
        # Every resample is of as many pairs and samples as there are.
        assert count.sum() == 9 * 4


def test_a_resample_of_one_point_has_no_line():
    # Weights of 3 and 6 round the mean of one value away from it.
    runs = [evaluation.Run("random", seed) for seed in range(4)]
    pairs = list(itertools.combinations(runs, 2))
    x, y = np.random.default_rng(1).random([2, 6, 2])
    (weights,) = run_pairs._draw_weights([pairs], 2, 2000, seed=0)
    num_points = (weights > 0).sum(axis=(1, 2))
    assert (num_points == 1).sum() > 200
    received = run_pairs._weighted_r_squared(weights, x, y)
    np.testing.assert_array_equal(np.isnan(received), num_points < 2)
    # Nor has one whose points are all above one another.
    alike = run_pairs._weighted_r_squared(weights, x[:1].repeat(6, axis=0), y)
    num_samples = (weights.sum(axis=1) > 0).sum(axis=1)
    np.testing.assert_array_equal(np.isnan(alike), num_samples < 2)


def test_too_few_runs_and_undefined_scores_are_errors():
    two = [pair for pair in BETWEEN if pair[1].seed < 2]
    with pytest.raises(ValueError, match="'random': 3, 'transfer': 2"):
        evaluation.pairs_interval(two, np.ones([6, 1]))
    assert not evaluation.has_enough_runs(two)
    assert evaluation.has_enough_runs(BETWEEN)
    scores = np.ones([3, 2])
    scores[1, 1] = np.nan
    with pytest.raises(ValueError, match="1 of 6 undefined"):
        evaluation.pairs_interval(WITHIN, scores)
    with pytest.raises(ValueError, match="shape=\\(2, 1\\), 3 pairs"):
        evaluation.pairs_interval(WITHIN, np.ones([2, 1]))
    with pytest.raises(ValueError, match="points that differ.*x is 0.5"):
        evaluation.fit_pairs(WITHIN, np.full([3, 2], 0.5), np.ones([3, 2]))
    with pytest.raises(ValueError, match="1 and 2 samples"):
        evaluation.pairs_difference_interval(
            WITHIN, np.ones([3, 1]), BETWEEN, np.ones([9, 2])
        )

import numpy as np
import pytest
import scipy.stats

from transfusion_tf import similarity


def collected(x, y, num_blocks, batch_size):
    state = similarity.RepresentationMoments(
        {"x": x.shape[1], "y": y.shape[1]}, num_blocks=num_blocks
    )
    for start in range(0, len(x), batch_size):
        rows = slice(start, start + batch_size)
        state.update_state({"x": x[rows], "y": y[rows]})
    return state.result()


def mean_of_x(moments):
    return float(moments.mean("x")[0])


def cca(moments):
    return similarity.cca_from_moments(moments, "x", "y").mean


def cka(moments):
    return similarity.cka_from_moments(moments, "x", "y").score


def procrustes(moments):
    return similarity.procrustes_from_moments(moments, "x", "y").score


def pwcca(moments):
    return similarity.pwcca_from_moments(
        moments, "x", "y", allow_small_n=True
    ).mean


def sample(seed, num_datapoints=400):
    generator = np.random.default_rng(seed)
    x = generator.normal(size=[num_datapoints, 8]) * np.linspace(1, 2, 8)
    noise = generator.normal(size=[num_datapoints, 8])
    return x, 0.6 * x + noise


@pytest.mark.parametrize("confidence", [0.5, 0.95])
def test_a_mean_of_single_rows_has_its_t_interval(confidence):
    x = np.random.default_rng(0).normal(size=[15, 1])
    moments = collected(x, x, num_blocks=15, batch_size=1)
    low, high = similarity.jackknife(moments, mean_of_x, confidence)
    expected = scipy.stats.t.interval(
        confidence, 14, loc=x.mean(), scale=x.std(ddof=1) / np.sqrt(15)
    )
    np.testing.assert_allclose([low, high], expected, rtol=1e-10)


def test_blocks_of_unequal_sizes_weigh_by_their_sizes():
    x = np.random.default_rng(0).normal(size=[13, 1])
    moments = collected(x, x, num_blocks=3, batch_size=5)
    low, high = similarity.jackknife(moments, mean_of_x)
    # For a mean, pseudo-values are the blocks' means and the centre is x's.
    sizes = np.array([5, 5, 3])
    means = np.array([part.mean() for part in np.split(x, [5, 10])])
    ratios = 13 / sizes
    variance = np.mean((means - x.mean()) ** 2 / (ratios - 1))
    half = scipy.stats.t.ppf(0.975, 2) * np.sqrt(variance)
    assert low == pytest.approx(x.mean() - half)
    assert high == pytest.approx(x.mean() + half)


@pytest.mark.parametrize("score", [cca, cka, procrustes])
def test_the_standard_error_is_that_of_replication(score):
    scores, errors = [], []
    for seed in range(100):
        moments = collected(*sample(seed), num_blocks=10, batch_size=40)
        scores.append(score(moments))
        if seed < 20:
            low, high = similarity.jackknife(moments, score)
            errors.append((high - low) / 2 / scipy.stats.t.ppf(0.975, 9))
    replicated = np.std(scores, ddof=1)
    # A standard deviation of 100 is known to 7 %.
    assert np.mean(errors) == pytest.approx(replicated, rel=0.2)


def test_of_a_mean_half_sampling_is_the_jackknife():
    x = np.random.default_rng(0).normal(size=[20, 1])
    moments = collected(x, x, num_blocks=20, batch_size=1)
    low, high = similarity.half_sampling(
        moments, mean_of_x, 0.9, num_samples=1000
    )
    expected = similarity.jackknife(moments, mean_of_x, 0.9)
    np.testing.assert_allclose([low, high], expected, atol=0.03)


def pair_of_layers(seed, num_datapoints=800, size=16):
    """Two layers of uneven variances with a few directions in common."""
    fixed, generator = np.random.default_rng(9), np.random.default_rng(seed)
    mixes = fixed.normal(size=[2, size, size]) * np.linspace(1, 0.1, size)
    signal, noise = generator.normal(size=[2, num_datapoints, size])
    return (
        signal @ mixes[0],
        (np.linspace(1, 0, size) * signal + noise) @ mixes[1],
    )


def test_the_standard_error_of_pwcca_is_that_of_replication():
    reach = scipy.stats.t.ppf(0.975, 19)
    scores, halves, singles = [], [], []
    for seed in range(100):
        blocks = {"num_blocks": 20, "batch_size": 40}
        if seed >= 10:
            blocks = {"num_blocks": 1, "batch_size": 800}
        moments = collected(*pair_of_layers(seed), **blocks)
        scores.append(pwcca(moments))
        if seed < 10:
            for errors, interval in (
                (halves, similarity.half_sampling),
                (singles, similarity.jackknife),
            ):
                low, high = interval(moments, pwcca)
                errors.append((high - low) / 2 / reach)
    replicated = np.std(scores, ddof=1)
    # That is known to 7 %, and the mean of 10 errors to 6 %.
    assert np.mean(halves) == pytest.approx(replicated, rel=0.2)
    assert np.mean(singles) > 1.1 * np.mean(halves)


def test_an_undefined_score_has_an_undefined_interval():
    x, y = sample(0)
    moments = collected(x, 0 * y, num_blocks=4, batch_size=100)
    assert np.isnan(similarity.jackknife(moments, cka)).all()


def test_errors_name_what_is_wrong():
    x, y = sample(0)
    with pytest.raises(ValueError, match="0 blocks.*num_blocks=20"):
        similarity.jackknife(collected(x, y, 1, 400), cka)
    with pytest.raises(ValueError, match="confidence=1.5"):
        similarity.jackknife(collected(x, y, 2, 200), cka, 1.5)

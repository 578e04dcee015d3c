"""What holds of any layers, whatever their shape, rank, scale and batch."""

import warnings

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from transfusion_tf import similarity

# The same examples each time: a failure is one of the code, not of the day.
hypothesis.settings.register_profile(
    "similarity", deadline=None, derandomize=True, max_examples=25
)
SETTINGS = hypothesis.settings.get_profile("similarity")


@st.composite
def pairs(draw):
    """Two layers with something in common, at any scale and offset."""
    count = draw(st.integers(60, 160))
    shared = draw(st.integers(1, 4))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    signal = generator.normal(size=(count, shared))
    sides = []
    for _ in range(2):
        rank = draw(st.integers(1, 6))
        neurons = draw(st.integers(rank, 10))
        own = np.hstack([signal, generator.normal(size=(count, rank))])
        kept = own @ generator.normal(size=(shared + rank, rank))
        values = kept @ generator.normal(size=(rank, neurons))
        scale = 10.0 ** draw(st.integers(-5, 5))
        offset = draw(st.sampled_from([0.0, 1.0, 100.0]))
        sides.append(scale * (values + offset))
    return sides


def scores(x, y):
    """All linear measures of two layers by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            "cca": similarity.cca(x, y, allow_small_n=True).mean,
            "r2": similarity.cca(x, y, allow_small_n=True).mean_squared,
            "svcca": similarity.svcca(x, y, 0.9, allow_small_n=True).mean,
            "pwcca": similarity.pwcca(x, y, "mean", allow_small_n=True).mean,
            "cka": similarity.cka(x, y, debiased=False).score,
            "debiased cka": similarity.cka(x, y).score,
            "procrustes": similarity.procrustes(x, y).score,
            "shape": similarity.shape_distance(x, y),
            "regression": similarity.linear_regression(
                x, y, allow_small_n=True
            ).score,
        }


def assert_close(found, expected, but=(), tolerance=1e-7):
    for name in expected.keys() - set(but):
        assert found[name] == pytest.approx(expected[name], abs=tolerance), name


@SETTINGS
@hypothesis.given(pairs())
def test_scores_lie_in_their_ranges(pair):
    found = scores(*pair)
    assert 0 <= found.pop("shape") <= np.pi / 2 + 1e-9
    assert -1 <= found.pop("debiased cka") <= 1
    for name, score in found.items():
        assert 0 <= score <= 1, name


@SETTINGS
@hypothesis.given(pairs())
def test_a_layer_is_like_itself(pair):
    found = scores(pair[0], pair[0])
    assert found.pop("shape") == pytest.approx(0, abs=1e-6)
    for name, score in found.items():
        assert score == pytest.approx(1, abs=1e-9), name


@SETTINGS
@hypothesis.given(pairs())
def test_scores_are_symmetric_but_for_regression(pair):
    x, y = pair
    assert_close(scores(y, x), scores(x, y), but=["regression"])


@SETTINGS
@hypothesis.given(pairs(), st.integers(-4, 4), st.floats(-50, 50))
def test_scale_and_offset_of_a_layer_do_not_matter(pair, power, offset):
    x, y = pair
    moved = 10.0**power * (x + offset * np.abs(x).max())
    # An offset of so many times a layer's size costs so many of its digits.
    assert_close(scores(moved, y), scores(x, y), tolerance=1e-5)


@SETTINGS
@hypothesis.given(pairs(), st.integers(0, 2**32 - 1))
def test_the_order_of_neurons_and_of_images_does_not_matter(pair, seed):
    generator = np.random.default_rng(seed)
    x, y = pair
    rows = generator.permutation(len(x))
    columns = generator.permutation(x.shape[1])
    assert_close(scores(x[rows][:, columns], y[rows]), scores(x, y))


@SETTINGS
@hypothesis.given(pairs(), st.integers(0, 5))
def test_dead_neurons_change_nothing(pair, count):
    x, y = pair
    dead = np.full((len(x), count), 7.0)
    assert_close(scores(np.hstack([x, dead]), y), scores(x, y), tolerance=1e-6)


@SETTINGS
@hypothesis.given(
    pairs(), st.integers(1, 70), st.sampled_from(["float32", "float64"])
)
def test_batches_shards_and_dtypes_do_not_matter(pair, size, dtype):
    x, y = (side.astype(dtype) for side in pair)
    sizes = {"x": x.shape[1], "y": y.shape[1]}
    states = []
    for start in range(0, len(x), size):
        state = similarity.RepresentationMoments(sizes)
        rows = slice(start, start + size)
        state.update_state({"x": x[rows], "y": y[rows]})
        states.append(state)
    states[0].merge_state(states[1:])
    moments = states[0].result()
    found = {
        "cca": similarity.cca_from_moments(
            moments, "x", "y", allow_small_n=True
        ).mean,
        "debiased cka": similarity.cka_from_moments(moments, "x", "y").score,
        "procrustes": similarity.procrustes_from_moments(
            moments, "x", "y"
        ).score,
    }
    expected = scores(x, y)
    assert_close(found, {name: expected[name] for name in found})

import numpy as np
import pytest

from tests.similarity import oracles
from transfusion_tf import similarity


def collect(batches, sizes):
    state = similarity.RepresentationMoments(sizes)
    for batch in batches:
        state.update_state(batch)
    return state


def in_batches(x, y, size):
    return [
        {"a": x[start : start + size], "b": y[start : start + size]}
        for start in range(0, len(x), size)
    ]


SIZES = {"a": 12, "b": 9}


@pytest.mark.parametrize("size", [1, 7, 64, 400])
def test_moments_equal_numpy_whatever_the_batch_size(size):
    x, y = oracles.layers()
    moments = collect(in_batches(x, y, size), SIZES).result()
    stacked = np.concatenate([x, y], axis=1).astype(np.float64)
    np.testing.assert_allclose(
        moments.covariances, np.cov(stacked.T, bias=True), atol=1e-11
    )
    np.testing.assert_allclose(moments.means, stacked.mean(0), atol=1e-12)
    assert moments.num_datapoints == 400


def test_named_blocks_are_those_of_the_layers():
    x, y = oracles.layers()
    moments = collect(in_batches(x, y, 100), SIZES).result()
    centred = [
        s.astype(np.float64) - s.astype(np.float64).mean(0) for s in (x, y)
    ]
    np.testing.assert_allclose(
        moments.covariance("a", "b"),
        centred[0].T @ centred[1] / 400,
        atol=1e-12,
    )
    np.testing.assert_allclose(moments.mean("b"), y.mean(0), atol=1e-5)


def test_the_order_of_batches_does_not_matter():
    x, y = oracles.layers()
    batches = in_batches(x, y, 50)
    there, back = (
        collect(b, SIZES).result().covariances.numpy()
        for b in (batches, batches[::-1])
    )
    np.testing.assert_allclose(there, back, atol=1e-12)


def test_merged_shards_equal_a_single_pass():
    x, y = oracles.layers()
    batches = in_batches(x, y, 100)
    whole = collect(batches, SIZES).result()
    shards = [collect([batch], SIZES) for batch in batches]
    merged = similarity.RepresentationMoments(SIZES)
    merged.merge_state(shards)
    result = merged.result()
    np.testing.assert_allclose(
        result.covariances, whole.covariances, atol=1e-12
    )
    np.testing.assert_allclose(result.means, whole.means, atol=1e-12)
    assert result.num_datapoints == 400


def test_a_large_offset_costs_no_digits():
    x, y = (side.astype(np.float64) for side in oracles.layers())
    plain = collect(in_batches(x, y, 50), SIZES).result()
    moved = collect(in_batches(x + 1024.0, y, 50), SIZES).result()
    np.testing.assert_allclose(moved.covariances, plain.covariances, atol=1e-11)


def test_streamed_scores_equal_those_of_whole_arrays():
    x, y = oracles.layers()
    moments = collect(in_batches(x, y, 37), SIZES).result()
    for streamed, whole in (
        (similarity.cca_from_moments(moments, "a", "b"), similarity.cca(x, y)),
        (
            similarity.svcca_from_moments(moments, "a", "b", 0.9),
            similarity.svcca(x, y, 0.9),
        ),
    ):
        np.testing.assert_allclose(
            streamed.coefficients, whole.coefficients, atol=1e-12
        )


def test_reset_forgets_everything():
    x, y = oracles.layers()
    state = collect(in_batches(x, y, 400), SIZES)
    state.reset_state()
    with pytest.raises(ValueError, match=r"No datapoint was seen"):
        state.result()
    state.update_state({"a": x, "b": y})
    np.testing.assert_array_equal(
        state.result().covariances,
        collect(in_batches(x, y, 400), SIZES).result().covariances,
    )


def test_bad_batches_and_layers_are_named():
    x, y = oracles.layers()
    state = similarity.RepresentationMoments(SIZES)
    with pytest.raises(ValueError, match=r"Received: \['a'\]\. The state hold"):
        state.update_state({"a": x})
    with pytest.raises(ValueError, match=r"'b' have the wrong.*\(400, 12\)"):
        state.update_state({"a": x, "b": x})
    state.update_state({"a": x, "b": y})
    with pytest.raises(ValueError, match=r"layer='c'\. The state holds a, b"):
        state.result().covariance("a", "c")
    with pytest.raises(ValueError, match=r"must hold the same layers"):
        state.merge_state([similarity.RepresentationMoments({"a": 12})])
    with pytest.raises(ValueError, match=r"need layers with neurons.*'a': 0"):
        similarity.RepresentationMoments({"a": 0})

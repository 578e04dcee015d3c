import sys

import numpy as np
import pytest
import tensorflow as tf
import threadpoolctl

from tests.launch import running
from tests.similarity import oracles
from transfusion_tf import similarity
from transfusion_tf.similarity import linalg


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


def covariances(moments):
    return oracles.arrays_of(moments)["covariances"]


SIZES = {"a": 12, "b": 9}


@pytest.mark.parametrize("size", [1, 7, 64, 400])
def test_moments_equal_numpy_whatever_the_batch_size(size):
    x, y = oracles.layers()
    moments = collect(in_batches(x, y, size), SIZES).result()
    stacked = np.concatenate([x, y], axis=1).astype(np.float64)
    np.testing.assert_allclose(
        covariances(moments), np.cov(stacked.T, bias=True), atol=1e-11
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
        covariances(collect(b, SIZES).result())
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
        covariances(result), covariances(whole), atol=1e-12
    )
    np.testing.assert_allclose(result.means, whole.means, atol=1e-12)
    assert result.num_datapoints == 400


def test_a_state_that_was_merged_is_left_as_it_was():
    x, y = oracles.layers()
    first, second = in_batches(x, y, 200)
    other = collect([first], SIZES)
    merged = similarity.RepresentationMoments(SIZES)
    merged.merge_state([other])
    merged.update_state(second)
    equal(other, collect([first], SIZES))
    equal(merged, collect([first, second], SIZES))


def test_a_state_goes_on_in_a_graph_and_outside_of_it():
    x, y = oracles.layers()
    state = similarity.RepresentationMoments(SIZES)
    update = tf.function(lambda a, b: state.update_state({"a": a, "b": b}))
    for place, batch in enumerate(in_batches(x + 50.0, y, 50)):
        if place % 2:
            update(**batch)
        else:
            state.update_state(batch)
    equal(state, collect(in_batches(x + 50.0, y, 50), SIZES))


def test_a_large_offset_costs_no_digits():
    x, y = (side.astype(np.float64) for side in oracles.layers())
    plain = collect(in_batches(x, y, 50), SIZES).result()
    moved = collect(in_batches(x + 1024.0, y, 50), SIZES).result()
    np.testing.assert_allclose(
        covariances(moved), covariances(plain), atol=1e-11
    )


def test_an_empty_state_costs_no_digits_when_others_are_merged_into_it():
    x, y = (side.astype(np.float64) for side in oracles.layers())
    shards = [collect([b], SIZES) for b in in_batches(x + 1e8, y, 200)]
    merged = similarity.RepresentationMoments(SIZES)
    merged.merge_state(shards)
    equal(merged, collect(in_batches(x + 1e8, y, 200), SIZES))


def test_a_batch_without_rows_counts_for_nothing_in_a_graph():
    x, y = (side.astype(np.float64) for side in oracles.layers())
    groups = np.arange(400) // 4
    state = similarity.RepresentationMoments(SIZES)

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, 12], tf.float64),
            tf.TensorSpec([None, 9], tf.float64),
            tf.TensorSpec([None], tf.int64),
        ]
    )
    def update(a, b, images):
        state.update_state({"a": a, "b": b}, images)

    for part in (slice(0, 0), slice(0, 200), slice(200, 400), slice(0, 0)):
        update(x[part] + 1e8, y[part], groups[part])
    assert state.result().num_images == 100
    state_of_rows = similarity.RepresentationMoments(SIZES)
    state_of_rows.update_state({"a": x + 1e8, "b": y}, groups)
    equal(state, state_of_rows)


def test_groups_may_be_of_a_known_size_where_rows_are_not():
    x, y = oracles.layers()
    state = similarity.RepresentationMoments(SIZES)

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, 12], x.dtype),
            tf.TensorSpec([None, 9], y.dtype),
        ]
    )
    def update(a, b):
        state.update_state({"a": a, "b": b}, tf.range(400) // 4)

    update(x, y)
    assert state.result().num_images == 100


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
        covariances(state.result()),
        covariances(collect(in_batches(x, y, 400), SIZES).result()),
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


def equal(first, second, tolerance=1e-12):
    """Whether two states have seen the same, up to rounding."""
    ours, theirs = first.result(), second.result()
    assert ours.num_datapoints == theirs.num_datapoints
    assert ours.num_images == theirs.num_images
    found = oracles.arrays_of(ours)
    for name, expected in oracles.arrays_of(theirs).items():
        np.testing.assert_allclose(
            found[name],
            expected,
            rtol=tolerance,
            atol=tolerance * np.abs(expected).max(),
        )


def test_norm_products_are_those_of_the_centred_rows():
    x, y = (side.astype(np.float64) for side in oracles.layers())
    moments = collect(in_batches(x + 40.0, y, 33), SIZES).result()
    rows = np.stack(
        [((side - side.mean(0)) ** 2).sum(1) for side in (x, y)], axis=1
    )
    np.testing.assert_allclose(moments.norm_products, rows.T @ rows, rtol=1e-11)
    assert moments.norm_product("b", "a") == moments.norm_products[1, 0]


@pytest.mark.parametrize("precision", similarity.PRECISIONS)
def test_a_graph_collects_what_eager_calls_do(precision):
    x, y = oracles.layers()
    eager, graph = (
        similarity.RepresentationMoments(SIZES, precision=precision)
        for _ in range(2)
    )
    update = tf.function(lambda a, b: graph.update_state({"a": a, "b": b}))
    for batch in in_batches(x, y, 50):
        eager.update_state(batch)
        update(**batch)
    equal(eager, graph, 1e-12 if precision == "float64" else 1e-5)


def test_a_graph_of_unknown_batch_size_and_a_compiled_one_agree():
    x, y = oracles.layers()
    whole = collect(in_batches(x, y, 400), SIZES)
    for options in ({}, {"jit_compile": True}):
        state = similarity.RepresentationMoments(SIZES)
        signature = [tf.TensorSpec([None, n]) for n in SIZES.values()]
        update = tf.function(
            lambda a, b, state=state: state.update_state({"a": a, "b": b}),
            input_signature=None if options else signature,
            **options,
        )
        for start in range(0, 400, 100):
            update(*(tf.constant(side[start : start + 100]) for side in (x, y)))
        equal(state, whole)


def test_tensorflow_alone_gives_what_blas_does():
    x, y = oracles.layers(num_datapoints=1200, sizes=(600, 9))
    sizes = {"a": 600, "b": 9}
    fast = collect(in_batches(x, y, 400), sizes)
    with linalg.only_tensorflow():
        slow = collect(in_batches(x, y, 400), sizes)
        scores = [f(fast.result()) for f in SCORES.values()]
    equal(fast, slow)
    for score, function in zip(scores, SCORES.values(), strict=True):
        assert function(fast.result()) == pytest.approx(score, abs=1e-9)


SCORES = {
    "cca": lambda m: (
        similarity.cca_from_moments(m, "a", "b", allow_small_n=True).mean
    ),
    "svcca": lambda m: (
        similarity.svcca_from_moments(m, "a", "b", 0.7, allow_small_n=True).mean
    ),
    "pwcca": lambda m: (
        similarity.pwcca_from_moments(m, "a", "b", allow_small_n=True).mean
    ),
    "cka": lambda m: similarity.cka_from_moments(m, "a", "b").score,
    "procrustes": lambda m: (
        similarity.procrustes_from_moments(m, "a", "b").score
    ),
    "shape": lambda m: similarity.shape_distance_from_moments(m, "a", "b", 0.5),
    "regression": lambda m: (
        similarity.linear_regression_from_moments(m, "b", "a").score
    ),
}


def test_float32_products_are_close_and_cut_the_rank_earlier():
    x, y = oracles.layers()
    scores, moments = {}, {}
    for precision in similarity.PRECISIONS:
        state = similarity.RepresentationMoments(SIZES, precision=precision)
        for batch in in_batches(x, y, 100):
            state.update_state(batch)
        moments[precision] = state.result()
        found = similarity.cca_from_moments(moments[precision], "a", "b")
        scores[precision] = found.coefficients
    np.testing.assert_allclose(scores["float32"], scores["float64"], atol=1e-5)
    assert not np.array_equal(scores["float32"], scores["float64"])
    assert (moments["float64"].rank_cut, moments["float32"].rank_cut) == (
        1e-10,
        1e-5,
    )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "int32"])
def test_any_real_dtype_is_taken_exactly(dtype):
    x, y = (tf.cast(4 * side, dtype) for side in oracles.layers())
    exact = [tf.cast(side, tf.float64) for side in (x, y)]
    equal(
        collect(in_batches(x, y, 50), SIZES),
        collect(in_batches(*exact, 50), SIZES),
    )


def test_blocks_leave_out_every_nth_batch():
    x, y = oracles.layers()
    state = similarity.RepresentationMoments(SIZES, num_blocks=3)
    batches = in_batches(x, y, 50)
    for batch in batches:
        state.update_state(batch)
    equal(state, collect(batches, SIZES))
    blocks = state.result().blocks
    assert len(blocks) == 3
    for place, moments in enumerate(blocks):
        others = [b for n, b in enumerate(batches) if n % 3 != place]
        expected = collect(others, SIZES).result()
        assert moments.num_datapoints == expected.num_datapoints
        found = oracles.arrays_of(moments)
        for name, values in oracles.arrays_of(expected).items():
            np.testing.assert_allclose(found[name], values, rtol=1e-10)
    assert collect(batches, SIZES).result().blocks == ()


def test_moments_of_some_blocks_and_of_some_layers():
    x, y = oracles.layers()
    sizes = {**SIZES, "c": 3}
    batches = [
        {**batch, "c": batch["a"][:, 2:5] ** 2 + 7.0}
        for batch in in_batches(x + 100.0, y, 60)  # The last one is smaller.
    ]
    state = similarity.RepresentationMoments(sizes, num_blocks=len(batches))
    for batch in batches:
        state.update_state(batch)
    of_blocks = state.result().of_blocks([1, 6])
    expected = collect([batches[1], batches[6]], sizes).result()
    for name in ("means", "covariances"):
        np.testing.assert_allclose(
            oracles.arrays_of(of_blocks)[name],
            oracles.arrays_of(expected)[name],
            rtol=1e-10,
            atol=1e-10,
        )
    assert of_blocks.num_images == of_blocks.num_datapoints == 60 + 40
    assert np.isnan(of_blocks.norm_products).all()
    only = state.result().only("c", "a")
    assert only.layers == {"a": 12, "c": 3}
    pairs = [{n: batch[n] for n in ("a", "c")} for batch in batches]
    for found, wanted in (
        (only, pairs),
        (only.blocks[1], pairs[:1] + pairs[2:]),
    ):
        expected = collect(wanted, only.layers).result()
        for name, values in oracles.arrays_of(expected).items():
            np.testing.assert_allclose(
                oracles.arrays_of(found)[name], values, rtol=1e-9, atol=1e-9
            )


def test_a_state_that_cannot_be_written_leaves_the_old_file(
    tmp_path, monkeypatch
):
    x, y = oracles.layers()
    path = str(tmp_path / "state.npz")
    collect(in_batches(x, y, 400), SIZES).save(path)

    whole = tf.io.gfile.GFile.write

    def write(file, content):
        whole(file, content[:100])
        raise OSError("The disk is full.")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="full"):
        patch.setattr(tf.io.gfile.GFile, "write", write)
        collect(in_batches(x, y, 50), SIZES).save(path)
    state = similarity.RepresentationMoments(SIZES)
    state.load(path)
    assert state.result().num_datapoints == 400


def test_what_is_saved_goes_on_as_if_never_stopped(tmp_path):
    x, y = oracles.layers()
    batches = in_batches(x, y, 50)
    first = collect(batches[:3], SIZES)
    first.save(str(tmp_path / "state.npz"))
    second = similarity.RepresentationMoments(SIZES)
    second.load(str(tmp_path / "state.npz"))
    for batch in batches[3:]:
        second.update_state(batch)
    whole = collect(batches, SIZES).result()
    found = second.result()
    np.testing.assert_array_equal(covariances(found), covariances(whole))
    np.testing.assert_array_equal(found.norm_products, whole.norm_products)
    others = (
        similarity.RepresentationMoments({"a": 12}),
        similarity.RepresentationMoments({"other": 12, "b": 9}),
        similarity.RepresentationMoments(SIZES, num_blocks=2),
        similarity.RepresentationMoments(SIZES, precision="float32"),
    )
    for other in others:
        with pytest.raises(ValueError, match="of another state"):
            other.load(str(tmp_path / "state.npz"))


def test_images_are_counted_not_rows():
    x, y = oracles.layers()
    state = similarity.RepresentationMoments(SIZES)
    for place, batch in enumerate(in_batches(x, y, 100)):
        state.update_state(batch, np.arange(100) // 10 + 10 * place)
    moments = state.result()
    assert (moments.num_datapoints, moments.num_images) == (400, 40)
    assert collect(in_batches(x, y, 100), SIZES).result().num_images == 400


def test_a_value_that_is_not_finite_in_a_graph_is_named_by_the_result():
    x, y = oracles.layers()
    y[7, 3] = np.nan
    state = similarity.RepresentationMoments(SIZES)
    tf.function(lambda a, b: state.update_state({"a": a, "b": b}))(x, y)
    with pytest.raises(ValueError, match=r"'b' are not finite.*1 values"):
        state.result()
    state.reset_state()
    state.update_state({"a": x, "b": np.nan_to_num(y)})
    assert state.result().num_datapoints == 400


def test_options_that_cannot_be_are_named():
    with pytest.raises(ValueError, match=r"num_blocks=0.*float64, float32"):
        similarity.RepresentationMoments(SIZES, num_blocks=0)
    with pytest.raises(ValueError, match=r"precision='half'"):
        similarity.RepresentationMoments(SIZES, precision="half")


REPLICAS = """
import numpy as np
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2)
from tests.similarity import oracles
from transfusion_tf import similarity
x, y = oracles.layers()
x = x + 100.0
sizes = {"a": 12, "b": 9}
strategy = tf.distribute.MirroredStrategy()
with strategy.scope():
    state = similarity.RepresentationMoments(sizes)
data = tf.data.Dataset.from_tensor_slices({"a": x, "b": y}).batch(64)
update = tf.function(lambda b: strategy.run(state.update_state, args=(b,)))
for batch in strategy.experimental_distribute_dataset(data):
    update(batch)
whole = similarity.RepresentationMoments(sizes)
whole.update_state({"a": x, "b": y})
found, expected = state.result(), whole.result()
assert found.num_datapoints == found.num_images == 400
ours, theirs = oracles.arrays_of(found), oracles.arrays_of(expected)
for name, values in theirs.items():
    np.testing.assert_allclose(ours[name], values, rtol=1e-9, atol=1e-10)
state.save(__import__("sys").argv[1])
state.reset_state()
state.load(__import__("sys").argv[1])
np.testing.assert_allclose(
    oracles.arrays_of(state.result())["covariances"], theirs["covariances"],
    atol=1e-10)
print(strategy.num_replicas_in_sync, "replicas agree")
"""


def test_replicas_collect_their_own_and_are_added(tmp_path):
    process = running.run_command(
        [sys.executable, "-c", REPLICAS, str(tmp_path / "state.npz")]
    )
    assert process.returncode == 0, process.stderr[-2000:]
    assert process.stdout.strip() == "2 replicas agree"


@pytest.mark.parametrize(
    ("num_neurons", "is_small"), [(16, True), (2048, False)]
)
def test_small_products_leave_the_cores_to_tensorflow(
    monkeypatch, num_neurons, is_small
):
    seen = []
    monkeypatch.setattr(
        linalg,
        "add_upper_products_by_blas",
        lambda *_: seen.append(threads_of_blas()),
    )
    state = similarity.RepresentationMoments({"x": num_neurons})
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        state.update_state({"x": tf.zeros([256, num_neurons])})
        assert seen == [{1} if is_small else {2}]
        assert threads_of_blas() == {2}


def threads_of_blas():
    pools = threadpoolctl.threadpool_info()
    return {p["num_threads"] for p in pools if p["user_api"] == "blas"}

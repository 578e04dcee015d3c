import numpy as np
import pytest
import skimage.transform
import tensorflow as tf

from tests.data.fake_splits import fake_split
from transfusion_tf import data
from transfusion_tf.data import reader as reader_module

# A cache of no bytes makes the reader stream.
CACHES = pytest.mark.parametrize("cache_bytes", [1e9, 0])


def epoch_ids(reader, *, batch_size, epoch=0, **kwargs):
    batches = reader.train_batches(
        batch_size=batch_size,
        first_step=epoch * reader.train_steps_per_epoch(batch_size),
        **kwargs,
    ).as_numpy_iterator()
    return [batch["example_id"].tolist() for batch in batches]


@CACHES
def test_an_epoch_holds_each_example_at_most_once_in_full_batches(cache_bytes):
    reader = data.SplitReader(fake_split(11), 8, cache_bytes=cache_bytes)
    batches = epoch_ids(reader, seed=0, batch_size=4)
    ids = np.concatenate(batches)
    assert reader.train_steps_per_epoch(4) == len(batches) == 5
    assert len(set(ids)) == len(ids) == 20
    assert set(ids) <= set(range(22))


@CACHES
def test_images_labels_and_ids_stay_together(cache_bytes):
    split = fake_split(10)
    reader = data.SplitReader(split, 8, cache_bytes=cache_bytes)
    for batch in reader.train_batches(seed=1, batch_size=5):
        ids = batch["example_id"].numpy()
        np.testing.assert_array_equal(batch["image"][:, 3, 3, 0], ids)
        np.testing.assert_array_equal(batch["label"], split.labels[ids])


def test_order_depends_on_seed_and_epoch_alone_cached_or_not():
    orders = {}
    for cache_bytes in (1e9, 0):
        reader = data.SplitReader(fake_split(20), 8, cache_bytes=cache_bytes)
        for seed, epoch in [(0, 1), (0, 0), (1, 0), (0, 1)]:
            order = epoch_ids(reader, seed=seed, epoch=epoch, batch_size=4)
            assert orders.setdefault((seed, epoch), order) == order
    assert len({str(order) for order in orders.values()}) == 3


@CACHES
@pytest.mark.parametrize("global_seed", [0, 7])
def test_no_global_seed_has_a_part_in_the_order(cache_bytes, global_seed):
    reader = data.SplitReader(fake_split(20), 8, cache_bytes=cache_bytes)
    order = epoch_ids(reader, seed=1, batch_size=4)
    tf.random.set_seed(global_seed)
    try:
        assert epoch_ids(reader, seed=1, batch_size=4) == order
    finally:
        tf.random.set_seed(None)


def test_the_order_of_a_large_split_does_not_depend_on_the_cache(monkeypatch):
    monkeypatch.setattr(reader_module, "_SHUFFLE_BUFFER", 8)
    orders = [
        epoch_ids(
            data.SplitReader(fake_split(20), 8, cache_bytes=cache_bytes),
            seed=0,
            epoch=0,
            batch_size=4,
        )
        for cache_bytes in (1e9, 0)
    ]
    assert orders[0] == orders[1]
    assert sorted(sum(orders[0], [])) == list(range(40))


@CACHES
def test_one_epoch_follows_another(cache_bytes):
    reader = data.SplitReader(fake_split(10), 8, cache_bytes=cache_bytes)
    steps = reader.train_batches(seed=3, batch_size=8, num_steps=5)
    ids = [step["example_id"].tolist() for step in steps.as_numpy_iterator()]
    epochs = [
        epoch_ids(reader, seed=3, epoch=k, batch_size=8) for k in range(3)
    ]
    assert ids == sum(epochs, [])[:5]


@CACHES
def test_skipping_goes_on_with_the_batch_that_would_have_come(cache_bytes):
    reader = data.SplitReader(fake_split(10), 8, cache_bytes=cache_bytes)
    arguments = {"seed": 3, "batch_size": 4, "num_steps": 15}
    whole = list(reader.train_batches(**arguments).as_numpy_iterator())
    arguments |= {"first_step": 7, "num_steps": 8}
    rest = reader.train_batches(**arguments)
    for expected, received in zip(
        whole[7:], rest.as_numpy_iterator(), strict=True
    ):
        for key in expected:
            np.testing.assert_array_equal(expected[key], received[key])


def test_draws_follow_the_example_whatever_its_batch():
    draws = []
    for batch_size in (2, 10):
        reader = data.SplitReader(fake_split(10), 8)
        rows = {}
        for batch in reader.train_batches(
            seed=0, batch_size=batch_size
        ).as_numpy_iterator():
            rows |= zip(
                batch["example_id"].tolist(),
                batch["draws"].tolist(),
                strict=True,
            )
        draws.append(rows)
    assert draws[0] == draws[1]
    assert len({tuple(row) for row in draws[0].values()}) == 20


@CACHES
@pytest.mark.parametrize("batch_size", [1, 4, 7, 32])
def test_evaluation_gives_each_example_once_and_pads_the_rest(
    batch_size, cache_bytes
):
    reader = data.SplitReader(fake_split(5), 8, cache_bytes=cache_bytes)
    ids = [
        batch["example_id"]
        for batch in reader.evaluation_batches(batch_size).as_numpy_iterator()
    ]
    assert {len(batch) for batch in ids} == {batch_size}
    ids = np.concatenate(ids)
    np.testing.assert_array_equal(ids[ids != data.PADDING_ID], np.arange(10))
    assert len(ids) - 10 < batch_size


@CACHES
def test_a_subset_reads_its_own_examples_under_their_own_ids(cache_bytes):
    split = data.subset(fake_split(10), 8, seed=5)
    reader = data.SplitReader(split, 8, cache_bytes=cache_bytes)
    batches = list(reader.evaluation_batches(8).as_numpy_iterator())
    ids = batches[0]["example_id"]
    np.testing.assert_array_equal(ids, split.example_ids)
    np.testing.assert_array_equal(batches[0]["image"][:, 0, 0, 0], ids)
    np.testing.assert_array_equal(batches[0]["label"], split.labels)


def test_resizing_is_close_to_an_independent_antialiased_resize():
    pixels = np.zeros([64, 64, 3], np.uint8)
    pixels[16:48, 8:40] = (200, 100, 50)
    split = fake_split(1)
    split = data.Split(
        **(vars(split) | {"sources": lambda: encoded_twice(pixels)})
    )
    batch = next(iter(data.SplitReader(split, 16).evaluation_batches(2)))
    expected = skimage.transform.resize(
        pixels.astype(float), [16, 16], order=1, anti_aliasing=True
    )
    difference = np.abs(batch["image"][0].numpy() - expected)
    assert difference.mean() < 3
    np.testing.assert_array_equal(batch["image"][0, 8, 6], [200, 100, 50])


def test_an_image_of_the_wanted_size_is_not_touched():
    pixels = np.random.default_rng(0).integers(0, 256, [8, 8, 3], np.uint8)
    split = fake_split(1)
    split = data.Split(
        **(vars(split) | {"sources": lambda: encoded_twice(pixels)})
    )
    batch = next(iter(data.SplitReader(split, 8).evaluation_batches(2)))
    np.testing.assert_array_equal(batch["image"][0], pixels)


def test_an_oblong_image_is_padded_not_cut():
    pixels = np.full([4, 16, 3], 80, np.uint8)
    split = fake_split(1)
    split = data.Split(
        **(vars(split) | {"sources": lambda: encoded_twice(pixels)})
    )
    batch = next(iter(data.SplitReader(split, 16).evaluation_batches(2)))
    image = batch["image"][0].numpy()
    np.testing.assert_array_equal(image[6:10], 80)
    assert image[:6].sum() == image[10:].sum() == 0


def test_a_batch_larger_than_the_split_is_refused():
    reader = data.SplitReader(fake_split(2), 8)
    with pytest.raises(ValueError, match="Use --batch_size=4 or less"):
        reader.train_steps_per_epoch(5)


def encoded_twice(pixels):
    image = tf.io.encode_png(pixels)
    return tf.data.Dataset.from_tensors(image).repeat(2)


@CACHES
def test_no_epoch_ends_with_a_wait_for_tf_datas_tuning(cache_bytes):
    # Of TensorFlow 2.21: an iterator's end waits until its tuning wakes.
    reader = data.SplitReader(fake_split(8), 4, cache_bytes=cache_bytes)
    for batches in (
        reader.train_batches(seed=0, batch_size=4),
        reader.evaluation_batches(4),
    ):
        assert batches.options().autotune.enabled is False

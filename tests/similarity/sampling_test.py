import numpy as np
import pytest

from transfusion_tf import similarity


def test_positions_are_spread_evenly_and_never_twice():
    chosen = similarity.choose_positions(7, 25, 100, seed=0)
    counts = np.bincount(chosen.image, minlength=7)
    assert counts.sum() == 100 and set(counts) == {14, 15}
    pairs = set(zip(chosen.image, chosen.position, strict=True))
    assert len(pairs) == 100
    assert chosen.position.min() >= 0 and chosen.position.max() < 25


def test_all_positions_are_taken_where_there_are_no_more():
    chosen = similarity.choose_positions(3, 4, 10_000, seed=0)
    np.testing.assert_array_equal(chosen.image, np.repeat([0, 1, 2], 4))
    np.testing.assert_array_equal(chosen.position, np.tile(np.arange(4), 3))


def test_fewer_positions_than_images_take_different_images():
    chosen = similarity.choose_positions(50, 9, 20, seed=1)
    assert len(set(chosen.image)) == 20


def test_every_position_is_as_likely():
    counts = np.zeros(5)
    for seed in range(400):
        chosen = similarity.choose_positions(2, 5, 4, seed=seed)
        counts += np.bincount(chosen.position, minlength=5)
    # 1600 draws over 5 places: 320 each, standard deviation below 16.
    assert np.all(np.abs(counts - 320) < 4 * 16)


def test_both_sides_are_sampled_at_the_same_positions():
    images = np.arange(6 * 4 * 5.0).reshape(6, 4, 5, 1)
    ours, groups = similarity.sample_positions(images, 30, seed=3)
    theirs, _ = similarity.sample_positions(
        np.concatenate([images, -images], axis=3), 30, seed=3
    )
    np.testing.assert_array_equal(theirs, np.concatenate([ours, -ours], 1))
    np.testing.assert_array_equal(groups, ours[:, 0] // 20)


def test_dense_layers_have_one_position_an_image():
    values = np.arange(12.0).reshape(4, 3)
    rows, groups = similarity.sample_positions(values, 100, seed=0)
    np.testing.assert_array_equal(rows, values)
    np.testing.assert_array_equal(groups, np.arange(4))


def test_channels_are_different_sorted_and_seeded():
    first = similarity.sample_channels(256, 64, seed=4)
    assert len(set(first)) == 64 and np.all(np.diff(first) > 0)
    assert 0 <= first[0] and first[-1] < 256
    np.testing.assert_array_equal(
        first, similarity.sample_channels(256, 64, seed=4)
    )
    assert not np.array_equal(
        first, similarity.sample_channels(256, 64, seed=5)
    )


def test_bad_shapes_and_numbers_are_named():
    with pytest.raises(ValueError, match=r"are images.*\(2, 3, 4\)"):
        similarity.sample_positions(np.ones([2, 3, 4]), 5, seed=0)
    with pytest.raises(ValueError, match=r"num_positions=0"):
        similarity.choose_positions(2, 3, 0, seed=0)
    with pytest.raises(ValueError, match=r"num_channels=0, num_sampled=64"):
        similarity.sample_channels(0, 64, seed=0)

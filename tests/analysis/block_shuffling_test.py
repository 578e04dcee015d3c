"""Blocks against a cut by hand; what is known without a network."""

import numpy as np
import pytest

from transfusion_tf import analysis


def _blocks(image, size):
    """The blocks of an image, as bytes, sorted."""
    places = range(0, len(image), size)
    return sorted(
        image[y : y + size, x : x + size].tobytes()
        for y in places
        for x in places
    )


@pytest.fixture
def images():
    generator = np.random.default_rng(0)
    return generator.integers(0, 256, [5, 12, 12, 3], dtype=np.uint8)


@pytest.mark.parametrize("block_size", [1, 2, 3, 4, 6])
def test_blocks_move_whole_and_none_is_lost(images, block_size):
    moved = analysis.shuffle_blocks(
        images, np.arange(5), block_size=block_size
    ).numpy()
    assert moved.dtype == images.dtype
    for image, result in zip(images, moved, strict=True):
        assert _blocks(result, block_size) == _blocks(image, block_size)
    assert not np.array_equal(moved, images)


def test_a_block_as_large_as_the_image_moves_nothing(images):
    moved = analysis.shuffle_blocks(images, np.arange(5), block_size=12)
    np.testing.assert_array_equal(moved, images)


def test_an_order_is_its_keys_and_its_seeds(images):
    same = np.stack([images[0]] * 4)
    first = analysis.shuffle_blocks(same, [3, 4, 3, -1], block_size=2).numpy()
    np.testing.assert_array_equal(first[0], first[2])
    assert len({image.tobytes() for image in first}) == 3
    alone = analysis.shuffle_blocks(same[:1], [4], block_size=2).numpy()
    np.testing.assert_array_equal(alone[0], first[1])
    other = analysis.shuffle_blocks(same[:1], [4], block_size=2, seed=1)
    assert not np.array_equal(other[0], alone[0])


def test_all_orders_are_drawn_alike():
    # Four blocks of one pixel: each comes to each place a quarter of the
    # times, 500 of 2000; the standard deviation is 19.
    image = np.arange(4, dtype=np.uint8).reshape(1, 2, 2, 1)
    many = np.repeat(image, 2000, axis=0)
    moved = analysis.shuffle_blocks(many, np.arange(2000), block_size=1)
    lines = moved.numpy().reshape(2000, 4)
    counts = [[(lines[:, k] == v).sum() for v in range(4)] for k in range(4)]
    assert np.abs(np.array(counts) - 500).max() < 5 * 19


@pytest.mark.parametrize("block_size", [0, 5, 24])
def test_blocks_that_do_not_fill_an_image_are_refused(images, block_size):
    with pytest.raises(ValueError, match=r"12 pixels. Use one of 1, 2, 3"):
        analysis.shuffle_blocks(images, np.arange(5), block_size=block_size)

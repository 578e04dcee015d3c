import numpy as np
import pytest
import tensorflow as tf

from transfusion_tf import data


@pytest.fixture
def images():
    generator = np.random.default_rng(0)
    return generator.integers(0, 256, [4, 6, 5, 3]).astype(np.uint8)


def draws_of(columns, num_examples=4):
    draws = np.full([num_examples, data.NUM_DRAWS], 0.5, np.float32)
    for column, values in columns.items():
        draws[:, column] = values
    return tf.constant(draws)


def test_none_only_casts(images):
    received = data.augment(images, draws_of({}), "none")
    np.testing.assert_array_equal(received, images.astype(np.float32))


def test_flips_flip_the_examples_whose_draw_is_low(images):
    draws = draws_of({0: [0.1, 0.9, 0.1, 0.9], 1: [0.1, 0.1, 0.9, 0.9]})
    received = data.augment(images, draws, "flips").numpy()
    np.testing.assert_array_equal(received[0], images[0, ::-1, ::-1])
    np.testing.assert_array_equal(received[1], images[1, ::-1])
    np.testing.assert_array_equal(received[2], images[2, :, ::-1])
    np.testing.assert_array_equal(received[3], images[3])


def test_flip_horizontal_leaves_up_and_down(images):
    draws = draws_of({0: 0.1, 1: 0.1})
    received = data.augment(images, draws, "flip_horizontal").numpy()
    np.testing.assert_array_equal(received, images[:, :, ::-1])


def test_colours_are_those_of_tf_image_one_image_at_a_time(images):
    draws = np.random.default_rng(1).uniform(size=[4, data.NUM_DRAWS])
    draws[:, :2] = 0.9  # No flips.
    received = data.augment(
        images, tf.constant(draws, tf.float32), "fundus"
    ).numpy()
    for image, draw, result in zip(images, draws, received, strict=True):
        pixels = tf.constant(image / 255.0, tf.float32)
        pixels += (2 * draw[2] - 1) * 0.1147528
        pixels = tf.clip_by_value(pixels, 0.0, 1.0)
        pixels = tf.image.adjust_hue(pixels, (2 * draw[3] - 1) * 0.0251488)
        saturation = 0.5597273 + draw[4] * (1.2748845 - 0.5597273)
        pixels = tf.image.adjust_saturation(pixels, saturation)
        contrast = 0.9996807 + draw[5] * (1.7704824 - 0.9996807)
        pixels = tf.image.adjust_contrast(pixels, contrast)
        expected = tf.clip_by_value(pixels, 0.0, 1.0) * 255.0
        np.testing.assert_allclose(result, expected, atol=0.02)


def test_an_unknown_augmentation_is_refused(images):
    with pytest.raises(ValueError, match="Received: augmentation='mixup'"):
        data.augment(images, draws_of({}), "mixup")

import numpy as np
import pytest
import scipy.ndimage
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


def test_a_crop_is_a_window_of_the_image_framed_in_black(images):
    rng = np.random.default_rng(2)
    images = rng.integers(1, 256, [64, 32, 32, 3]).astype(np.uint8)
    draws = rng.uniform(size=[64, data.NUM_DRAWS]).astype(np.float32)
    draws[:, :2] = 0.9  # No flips.
    draws[0, 6:8] = 0.0
    draws[1, 6:8] = np.nextafter(np.float32(1), np.float32(0))
    received = data.augment(images, tf.constant(draws), "flips_and_crop")
    framed = np.pad(images, [(0, 0), (2, 2), (2, 2), (0, 0)])
    corners = set()
    for image, frame in zip(received.numpy(), framed, strict=True):
        windows = {
            (top, left): frame[top : top + 32, left : left + 32]
            for top in range(5)
            for left in range(5)
        }
        found = [c for c, w in windows.items() if np.array_equal(image, w)]
        assert len(found) == 1
        corners.add(found[0])
    assert {(0, 0), (4, 4)} <= corners
    assert len(corners) > 15


def test_a_chest_xray_is_turned_scaled_and_moved_about_its_centre():
    rng = np.random.default_rng(3)
    images = rng.integers(0, 256, [3, 20, 26, 3]).astype(np.uint8)
    draws = rng.uniform(size=[3, data.NUM_DRAWS])
    received = data.augment(
        images, tf.constant(draws, tf.float32), "chest_xray"
    ).numpy()
    for image, draw, result in zip(images, draws, received, strict=True):
        angle = np.radians(15) * (2 * draw[8] - 1)
        scale = 0.95 + 0.1 * draw[9]
        centre = np.array([9.5, 12.5])
        shift = 0.05 * (2 * draw[6:8] - 1) * (20, 26)
        turn = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        matrix = np.array(turn) / scale
        for channel in range(3):
            expected = scipy.ndimage.affine_transform(
                image[..., channel].astype(float),
                matrix,
                offset=centre - matrix @ (centre + shift),
                order=1,
                mode="grid-constant",
            )
            np.testing.assert_allclose(
                result[..., channel], expected, atol=0.02
            )


@pytest.mark.parametrize("augmentation", data.AUGMENTATION_NAMES)
def test_compiled_with_a_whole_step_it_does_the_same(augmentation):
    rng = np.random.default_rng(4)
    images = rng.integers(0, 256, [32, 24, 24, 3]).astype(np.uint8)
    draws = tf.constant(rng.uniform(size=[32, data.NUM_DRAWS]), tf.float32)

    def step(images, draws):
        pixels = data.augment(images, draws, augmentation)
        return data.normalize(pixels, "tf")

    tf.config.run_functions_eagerly(True)
    expected = step(images, draws)
    tf.config.run_functions_eagerly(False)
    compiled = tf.function(step, jit_compile=True, autograph=False)
    np.testing.assert_allclose(compiled(images, draws), expected, atol=1e-4)


def test_an_unknown_augmentation_is_refused(images):
    with pytest.raises(ValueError, match="Received: augmentation='mixup'"):
        data.augment(images, draws_of({}), "mixup")

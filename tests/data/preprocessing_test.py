import keras
import numpy as np
import pytest

from transfusion_tf import data


@pytest.mark.parametrize(
    ("preprocessing", "keras_mode"),
    [("caffe", "caffe"), ("tf", "tf"), ("torch", "torch")],
)
def test_normalize_is_what_keras_applications_does(preprocessing, keras_mode):
    images = np.random.default_rng(0).integers(0, 256, [2, 4, 4, 3])
    expected = keras.applications.imagenet_utils.preprocess_input(
        images.astype(np.float64), mode=keras_mode
    )
    received = data.normalize(images.astype(np.uint8), preprocessing)
    np.testing.assert_allclose(received, expected, atol=2e-5)


def test_lite_is_its_formula():
    received = data.normalize(np.array([[[[0, 127, 255]]]]), "lite")
    np.testing.assert_array_equal(received[0, 0, 0], [-127 / 128, 0.0, 1.0])


def test_an_unknown_preprocessing_is_refused():
    with pytest.raises(ValueError, match="Use one of caffe, tf, torch, lite"):
        data.normalize(np.zeros([1, 1, 1, 3]), "yuv")

import numpy as np
import pytest

from transfusion_tf import similarity
from transfusion_tf.similarity import layer_grams


def layers_of(seed, num_images=30, widths=(3, 40, 7)):
    """Layers that share something, of fewer and of more neurons than images."""
    generator = np.random.default_rng(seed)
    shared = np.random.default_rng(0).normal(size=[num_images, 4])
    return [
        shared @ generator.normal(size=[4, width])
        + generator.normal(size=[num_images, width])
        + 100.0
        for width in widths
    ]


def test_each_entry_is_the_cka_of_its_pair():
    first, second = layers_of(1), layers_of(2, widths=(5, 64))
    matrix = similarity.cka_matrix(first, second)
    assert matrix.shape == (3, 2)
    for row, x in enumerate(first):
        for column, y in enumerate(second):
            expected = similarity.cka(x, y).score
            assert matrix[row, column] == pytest.approx(expected, abs=1e-12)
    assert np.ptp(matrix) > 0.05


@pytest.mark.parametrize("rows", [1, 7, 29, 30, 31])
def test_any_number_of_rows_at_a_time_gives_the_same(monkeypatch, rows):
    first, second = layers_of(1), layers_of(2)
    expected = similarity.cka_matrix(first, second)
    monkeypatch.setattr(layer_grams, "_ROWS", rows)
    received = similarity.cka_matrix(first, second)
    np.testing.assert_allclose(received, expected, rtol=0, atol=1e-12)


def test_rotation_scale_and_shift_change_nothing():
    (layer,) = layers_of(1, widths=(6,))
    rotation, _ = np.linalg.qr(np.random.default_rng(3).normal(size=[6, 6]))
    matrix = similarity.cka_matrix([layer], [3.0 - 2.0 * layer @ rotation])
    assert matrix[0, 0] == pytest.approx(1.0, abs=1e-12)
    assert matrix[0, 0] <= 1.0


def test_only_what_is_constant_or_not_finite_is_undefined():
    x, y, z = layers_of(1)
    x[4, 1] = np.inf
    y[:] = 0.1  # Not exact in binary.
    matrix = similarity.cka_matrix([x, y, z], [z, y])
    np.testing.assert_array_equal(
        np.isnan(matrix), [[True, True], [True, True], [False, True]]
    )
    assert matrix[2, 0] == pytest.approx(1.0)


def test_images_that_differ_each_in_its_own_way_are_a_constant_layer():
    # Off the diagonal all entries of the Gram matrix are one number, and only
    # rounding is left of it.
    (x,) = layers_of(1, widths=(7,))
    own = np.eye(30) * np.pi
    matrix = similarity.cka_matrix([x, own], [own, x])
    np.testing.assert_array_equal(
        np.isnan(matrix), [[True, False], [True, True]]
    )


def test_float32_is_computed_in_float64():
    layers = [layer.astype(np.float32) for layer in layers_of(1)]
    expected = similarity.cka_matrix(
        [layer.astype(np.float64) for layer in layers], layers
    )
    np.testing.assert_array_equal(
        similarity.cka_matrix(layers, layers), expected
    )


def test_what_cannot_be_compared_is_told():
    x, y = layers_of(1)[0], layers_of(1, num_images=29)[0]
    with pytest.raises(ValueError, match=r"num_datapoints=\[29, 30\]"):
        similarity.cka_matrix([x], [y])
    with pytest.raises(ValueError, match="at least 4"):
        similarity.cka_matrix([x[:3]], [x[:3]])

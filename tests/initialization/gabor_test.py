import numpy as np
import pytest

from tests.initialization.schemes_test import donor_of, initialized
from transfusion_tf import models
from transfusion_tf.initialization import gabor


def direct_filter(frequency: float, theta: float, size: int = 7) -> np.ndarray:
    """A Gabor filter by its formula, resized and cropped by interpolation."""
    sigma, reach = 2.0, None
    half = max(
        abs(3 * sigma * np.cos(theta)), abs(3 * sigma * np.sin(theta)), 1
    )
    reach = int(np.ceil(half))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(float)
    along = x * np.cos(theta) + y * np.sin(theta)
    envelope = np.exp(-(x**2 + y**2) / (2 * sigma**2)) / (2 * np.pi * sigma**2)
    kernel = envelope * np.cos(2 * np.pi * frequency * along)
    resized = round(size * 10 / 7)
    start = (resized - size) // 2
    # Where the centres of the resized pixels fall between the original ones.
    place = (np.arange(resized) + 0.5) * len(kernel) / resized - 0.5
    place = np.clip(place[start : start + size], 0, len(kernel) - 1)
    grid = np.arange(len(kernel))
    rows = np.stack([np.interp(place, grid, column) for column in kernel.T], 1)
    return np.stack([np.interp(place, grid, row) for row in rows])


def test_the_bank_is_the_formula_frequency_by_frequency_then_by_angle():
    bank = gabor.bank(16, 7)
    assert bank.shape == (64, 7, 7)
    for place, frequency in enumerate((0.08, 0.16, 0.25, 0.32)):
        for angle in range(16):
            np.testing.assert_allclose(
                bank[16 * place + angle],
                direct_filter(frequency, angle * np.pi / 16),
                atol=1e-12,
            )


def test_filters_of_high_frequency_a_quarter_turn_apart_are_orthogonal():
    bank = gabor.bank(16, 7).reshape(4, 16, -1)
    for frequency in (2, 3):
        for first in range(8):
            a, b = bank[frequency, first], bank[frequency, first + 8]
            a, b = a - a.mean(), b - b.mean()
            cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
            assert abs(cosine) < 0.2


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("resnet50", (7, 7, 3, 64)),
        ("cbr_large_w", (7, 7, 3, 64)),
        ("cbr_large_t", (7, 7, 3, 32)),
        ("cbr_tiny", (5, 5, 3, 32)),
    ],
)
def test_the_first_kernel_is_grey_and_scaled_as_one(name, shape):
    staged = models.build(name, num_outputs=2, image_shape=(32, 32, 3))
    values, records = initialized(staged, "gabor")
    key = next(iter(values))
    kernel = values[key]
    assert kernel.shape == shape
    np.testing.assert_array_equal(kernel[:, :, 0], kernel[:, :, 1])
    np.testing.assert_array_equal(kernel[:, :, 0], kernel[:, :, 2])
    he = np.sqrt(2 / (shape[0] * shape[1] * 3))
    assert kernel.std() == pytest.approx(he, rel=1e-5)
    bank = gabor.bank(shape[3] // 4, shape[0])
    factors = [(kernel[:, :, 0, k] / bank[k]).ravel() for k in range(shape[3])]
    # One factor for all, where the filter is not about zero.
    large = [f[np.abs(bank[k]).ravel() > 1e-4] for k, f in enumerate(factors)]
    together = np.concatenate(large)
    np.testing.assert_allclose(together, together[0], rtol=1e-3)
    assert [r.source for r in records.values()].count("gabor") == 1
    random, _ = initialized(staged, "random")
    for other in list(values)[1:]:
        np.testing.assert_array_equal(values[other], random[other])


def test_with_a_donor_the_scale_is_that_of_its_filters():
    staged = models.build("cbr_tiny", num_outputs=2, image_shape=(32, 32, 3))
    donor = donor_of("cbr_tiny")
    values, records = initialized(staged, "gabor", donor)
    key = "conv1_conv/kernel"
    assert values[key].std() == pytest.approx(donor.values[key].std(), rel=1e-5)
    assert "a donor" in records[key].detail


@pytest.mark.parametrize("shape", [(3, 3, 3, 32), (5, 7, 3, 8), (7, 7, 1, 64)])
def test_a_first_convolution_that_cannot_hold_them_is_refused(shape):
    with pytest.raises(ValueError, match=r"at least 5 x 5 on 3 channels"):
        gabor.first_kernel(shape, "conv1/kernel")

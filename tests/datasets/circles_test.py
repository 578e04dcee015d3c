import os

import numpy as np
import pytest
import skimage
from PIL import Image

from tests.datasets import photographs
from transfusion_datasets import circles


def check(image: np.ndarray, x: float, y: float, radius: float) -> None:
    circle = circles.find_circle(image)
    assert circle is not None
    found = (circle.x, circle.y, circle.radius)
    np.testing.assert_allclose(found, (x, y, radius), atol=1.0)


@pytest.mark.parametrize(
    ("x", "y", "radius"), [(100, 80, 60), (90.5, 75.25, 70.6), (60, 100, 45)]
)
def test_a_whole_disc_is_found(x: float, y: float, radius: float) -> None:
    image = photographs.disc(shape=(160, 200), centre=(x, y), radius=radius)
    check(image, x, y, radius)


def test_a_field_cut_at_top_and_bottom_is_found() -> None:
    image = photographs.disc(shape=(140, 200), centre=(100, 64), radius=90)
    check(image, 100, 64, 90)


def test_a_field_cut_on_all_four_sides_is_found_by_its_corners() -> None:
    image = photographs.disc(shape=(200, 200), centre=(100, 97), radius=115)
    check(image, 100, 97, 115)


def test_black_bars_at_the_cut_sides_are_no_border() -> None:
    image = photographs.disc(shape=(200, 200), centre=(100, 100), radius=110)
    image[:, :25] = image[:, -15:] = 0
    check(image, 100, 100, 110)


def test_a_notch_and_text_in_the_surround_do_not_move_the_circle() -> None:
    image = photographs.disc(shape=(200, 240), centre=(120, 100), radius=80)
    image[60:70, 185:200] = 255  # A notch on the border of the field.
    image[5:15, 2:40] = 255  # A date in the corner.
    check(image, 120, 100, 80)


def test_a_shadow_over_one_side_does_not_move_the_circle() -> None:
    image = photographs.disc(shape=(200, 240), centre=(120, 100), radius=80)
    shade = np.clip((np.arange(240) - 60) / 40, 0, 1)
    shade = np.where(np.arange(200)[:, None] > 120, shade, 1.0)
    check(np.uint8(image * shade[..., None]), 120, 100, 80)


def test_bright_noise_in_the_surround_does_not_move_the_circle() -> None:
    image = photographs.disc(shape=(200, 240), centre=(120, 100), radius=60)
    noise = np.random.default_rng(1).integers(0, 60, image.shape)
    image = np.maximum(image, np.uint8(noise))
    check(image, 120, 100, 60)


def test_the_circle_of_a_real_photograph_has_the_area_of_its_field() -> None:
    path = os.path.join(skimage.data_dir, "retina.jpg")
    if not os.path.exists(path):
        pytest.skip("scikit-image ships no retina.jpg here")
    small = Image.open(path).resize((256, 256), Image.Resampling.BOX)
    image = np.asarray(small)
    # This field is not cut: its area and centroid tell the circle.
    y, x = np.nonzero(image.max(axis=2) > 20)
    expected = (x.mean() + 0.5, y.mean() + 0.5, np.sqrt(len(x) / np.pi))
    circle = circles.find_circle(image)
    assert circle is not None
    found = (circle.x, circle.y, circle.radius)
    np.testing.assert_allclose(found, expected, atol=2.0)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_no_circle_is_found_in_a_flat_image(level: int) -> None:
    assert circles.find_circle(np.full((80, 80, 3), level, np.uint8)) is None


@pytest.mark.parametrize(
    "name",
    [
        "coffee.png",
        "astronaut.png",
        "chelsea.png",
        "motorcycle_left.png",
        "phantom.png",  # Ellipses on black: the most like a field.
        "rocket.jpg",
    ],
)
def test_no_circle_is_found_in_a_picture_of_something_else(name: str) -> None:
    path = os.path.join(skimage.data_dir, name)
    if not os.path.exists(path):
        pytest.skip(f"scikit-image ships no {name} here")
    image = Image.open(path).convert("RGB")
    image.thumbnail((256, 256))
    assert circles.find_circle(np.asarray(image)) is None


def test_a_black_square_on_white_is_no_circle() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    image[20:80, 20:80] = 255
    assert circles.find_circle(image) is None


def test_scaling_the_image_scales_the_circle() -> None:
    image = photographs.disc(shape=(128, 128), centre=(60, 66), radius=50)
    circle = circles.find_circle(image)
    large = circles.find_circle(image.repeat(2, axis=0).repeat(2, axis=1))
    assert circle is not None and large is not None
    expected = circle.scaled(2, 2)
    np.testing.assert_allclose(
        (large.x, large.y, large.radius),
        (expected.x, expected.y, expected.radius),
        atol=1.0,
    )


def test_rows_that_the_frame_cuts_show_no_border_there() -> None:
    image = photographs.disc(shape=(200, 240), centre=(80, 100), radius=90)
    points = circles._border_points(image.max(axis=2) > 0)
    # Rows that cross the disc, and those that cross it at the frame.
    y = np.arange(200) + 0.5
    half = np.sqrt(np.clip(90**2 - (y - 100) ** 2, 0, None))
    crossed = (half > 0).sum()
    cut = (half > 80).sum()
    assert len(points) == pytest.approx(2 * crossed - cut, abs=4)
    assert points[:, 0].min() > 0

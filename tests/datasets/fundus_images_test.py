import numpy as np
import pytest
from PIL import Image

from tests.datasets import photographs
from transfusion_datasets import circles, fundus_images
from transfusion_tf.raw import errors


def test_a_photograph_without_a_field_is_an_error_that_names_it() -> None:
    grey = Image.new("RGB", (64, 64), (90, 90, 90))
    with pytest.raises(
        errors.CircleNotFoundError, match=r"'train/10_left\.jpeg', 64 x 64"
    ):
        fundus_images.locate_circle(grey, name="train/10_left.jpeg")


@pytest.mark.parametrize("centre", [(150, 100), (100.5, 80), (60, 40)])
def test_the_field_fills_the_crop_wherever_it_was(
    centre: tuple[float, float],
) -> None:
    radius = 70.0
    source = photographs.disc(shape=(200, 300), centre=centre, radius=radius)
    crop = fundus_images.crop_circle(
        Image.fromarray(source), circles.Circle(*centre, radius), 96
    )
    # Where the source has no pixels the crop is black, as the surround.
    y, x = np.mgrid[:96, :96] + 0.5
    scale = 2 * radius / 96
    seen_x = centre[0] + (x - 48) * scale
    seen_y = centre[1] + (y - 48) * scale
    away = np.hypot(x - 48, y - 48)
    frame = (seen_x > 5) & (seen_y > 5) & (seen_x < 295) & (seen_y < 195)
    pixels = np.asarray(crop)
    tone = source[round(centre[1]), round(centre[0])]
    assert (pixels[(away < 44) & frame] == tone).all()
    assert (pixels[away > 50] == 0).all()


def test_a_crop_reaching_out_of_the_frame_is_padded_in_place() -> None:
    white = Image.new("RGB", (100, 100), "white")
    crop = fundus_images.crop_circle(white, circles.Circle(20, 50, 40), 80)
    pixels = np.asarray(crop)[..., 0]
    assert (pixels[:, :19] == 0).all()
    assert (pixels[:, 21:] == 255).all()

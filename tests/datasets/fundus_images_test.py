import io
import pathlib

import numpy as np
import pytest
from PIL import ExifTags, Image

from tests.datasets import photographs
from transfusion_datasets import circles, fundus_images
from transfusion_tf.raw import errors, items


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


def test_the_local_mean_is_subtracted_as_by_direct_convolution() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (60, 60, 3)).astype(np.uint8)
    # A Gaussian of 1/30 of the diameter, out to three standard deviations.
    reach = np.arange(-6, 7)
    weight = np.exp(-(reach**2) / (2 * 2.0**2))
    kernel = np.outer(weight, weight) / weight.sum() ** 2
    padded = np.pad(pixels, ((6, 6), (6, 6), (0, 0)), "reflect").astype(float)
    windows = np.lib.stride_tricks.sliding_window_view(
        padded, (13, 13), axis=(0, 1)
    )
    mean = np.einsum("yxcij,ij->yxc", windows, kernel)
    expected = np.clip(np.rint(4 * (pixels - mean) + 128), 0, 255)
    y, x = np.mgrid[:60, :60] + 0.5
    away = np.hypot(x - 30, y - 30)
    expected[away > 27] = 128
    result = np.asarray(fundus_images.enhance(Image.fromarray(pixels)))
    assert np.abs(result - expected).max() <= 1


def test_the_local_mean_does_not_depend_on_brightness() -> None:
    disc = photographs.disc(shape=(64, 64), radius=32) // 2
    brighter = disc + np.uint8(40) * (disc > 0)
    one, two = (
        np.asarray(fundus_images.enhance(Image.fromarray(image)), np.int64)
        for image in (disc, brighter)
    )
    y, x = np.mgrid[:64, :64] + 0.5
    inner = np.hypot(x - 32, y - 32) < 24
    assert np.abs(one - two)[inner].max() <= 1


@pytest.mark.parametrize(
    ("suffix", "orientation", "notes"),
    [
        (".jpeg", 1, ()),
        (".png", 1, ()),
        (".jpeg", 6, ("rotated", "re-encoded")),
    ],
)
def test_original_files_keep_their_bytes_unless_they_ask_to_be_turned(
    tmp_path: pathlib.Path, suffix: str, orientation: int, notes: tuple[str]
) -> None:
    path = tmp_path / f"1_left{suffix}"
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    Image.fromarray(photographs.disc()).save(path, exif=exif)
    item = items.Item("1_left", "1", str(path))
    processed = fundus_images.keep_file(item)
    assert processed.notes == notes
    stored = processed.example["image"]
    assert (stored == path.read_bytes()) == (not notes)
    size = Image.open(io.BytesIO(stored)).size
    assert tuple(processed.example["original_size"]) == size[::-1]
    assert size == ((72, 96) if notes else (96, 72))

import io
import warnings

import numpy as np
import pytest
from PIL import Image

from tests.datasets import photographs
from transfusion_datasets import circles, errors, images


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format=kind, **options)
    return file.getvalue()


def noise(height: int, width: int) -> Image.Image:
    values = np.random.default_rng(0).integers(0, 256, (height, width, 3))
    return Image.fromarray(values.astype(np.uint8))


PNG_16_BIT_GREY = encode(
    Image.fromarray(np.full((8, 8), 40_000, np.uint16)), "PNG"
)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"not an image", "neither a JPEG nor a PNG"),
        (encode(noise(32, 32), "GIF"), "neither a JPEG nor a PNG"),
        (encode(noise(32, 32).convert("CMYK"), "JPEG"), "mode is CMYK"),
        (PNG_16_BIT_GREY, "16 bits"),
        (encode(noise(8, 8).convert("RGBA"), "PNG"), "mode is RGBA"),
        (encode(noise(8, 8).convert("P"), "PNG"), "mode is P"),
        (
            encode(
                noise(8, 8),
                "PNG",
                save_all=True,
                append_images=[noise(8, 8).rotate(90)],
            ),
            "animated",
        ),
    ],
)
def test_an_unfit_file_is_refused_by_name(data: bytes, reason: str) -> None:
    with pytest.raises(
        errors.BadImageError, match=rf"(?s){reason}.*'some/10_left\.jpeg'"
    ):
        images.decode(data, name="some/10_left.jpeg")


def test_a_16_bit_colour_png_is_refused() -> None:
    # Pillow writes none, so the depth in the header of an 8-bit one is set.
    data = bytearray(encode(noise(8, 8), "PNG"))
    data[24] = 16
    with pytest.raises(errors.BadImageError):
        images.decode(bytes(data), name="x.png")


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("least_size", [None, 16])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_truncated_file_is_refused(
    kind: str, least_size: int | None, share: float
) -> None:
    data = encode(noise(64, 80), kind)
    with pytest.raises(errors.BadImageError, match="cannot be decoded"):
        images.decode(
            data[: int(share * len(data))], name="x", least_size=least_size
        )


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_grey_images_become_rgb(kind: str) -> None:
    grey = noise(16, 24).convert("L")
    image = images.decode(encode(grey, kind), name="x")
    assert image.mode == "RGB"
    assert image.size == (24, 16)


def test_a_reduced_decode_keeps_the_sides_at_least_as_asked() -> None:
    data = encode(noise(400, 640), "JPEG")
    sizes = {
        least: images.decode(data, name="x", least_size=least).size
        for least in (50, 51, 150, 201)
    }
    assert sizes == {
        50: (80, 50),
        51: (160, 100),
        150: (320, 200),
        201: (640, 400),
    }


def test_size_needs_no_decoding() -> None:
    data = encode(noise(40, 64), "JPEG")
    assert images.size(data[:700], name="x") == (64, 40)


def test_a_photograph_without_a_field_is_an_error_that_names_it() -> None:
    grey = Image.new("RGB", (64, 64), (90, 90, 90))
    with pytest.raises(
        errors.CircleNotFoundError, match=r"'train/10_left\.jpeg', 64 x 64"
    ):
        images.locate_circle(grey, name="train/10_left.jpeg")


@pytest.mark.parametrize("centre", [(150, 100), (100.5, 80), (60, 40)])
def test_the_field_fills_the_crop_wherever_it_was(
    centre: tuple[float, float],
) -> None:
    radius = 70.0
    source = photographs.disc(shape=(200, 300), centre=centre, radius=radius)
    crop = images.crop_circle(
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
    crop = images.crop_circle(white, circles.Circle(20, 50, 40), 80)
    pixels = np.asarray(crop)[..., 0]
    assert (pixels[:, :19] == 0).all()
    assert (pixels[:, 21:] == 255).all()


def test_encoding_repeats_and_keeps_a_single_red_pixel_red() -> None:
    image = np.full((16, 16, 3), 128, np.uint8)
    image[8, 8] = (200, 40, 40)
    data = images.encode_jpeg(image)
    assert data == images.encode_jpeg(image)
    red, green, _ = images.decode(data, name="x").getpixel((8, 8))
    assert red - green > 120


def test_no_warning_of_pillow_escapes() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        images.decode(encode(noise(8, 8), "JPEG"), name="x")

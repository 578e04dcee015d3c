import io
import warnings

import numpy as np
import pytest
from PIL import ExifTags, Image

from transfusion_tf.raw import errors, images


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
    image = images.decode(encode(grey, kind), name="x").image
    assert image.mode == "RGB"
    assert image.size == (24, 16)


def test_a_reduced_decode_keeps_the_sides_at_least_as_asked() -> None:
    data = encode(noise(400, 640), "JPEG")
    sizes = {
        least: images.decode(data, name="x", least_size=least).image.size
        for least in (50, 51, 150, 201)
    }
    assert sizes == {
        50: (80, 50),
        51: (160, 100),
        150: (320, 200),
        201: (640, 400),
    }


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("least_size", [None, 16])
def test_an_exif_orientation_is_applied_and_told(
    orientation: int, least_size: int | None
) -> None:
    # EXIF 2.3, section 4.6.4: what the eight values ask to be done.
    ask = {
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.swapaxes(0, 1),
        6: lambda p: np.rot90(p, -1),
        7: lambda p: p.swapaxes(0, 1)[::-1, ::-1],
        8: lambda p: np.rot90(p),
    }
    y, x = np.mgrid[:48, :64]
    stored = np.stack([3 * x, 4 * y, 0 * x], axis=2).astype(np.uint8)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    data = encode(Image.fromarray(stored), "JPEG", quality=95, exif=exif)
    picture = images.decode(data, name="x", least_size=least_size)
    upright = ask[orientation](stored)
    step = upright.shape[0] // picture.image.height
    seen = np.asarray(picture.image, np.float64)
    expected = upright.reshape(
        seen.shape[0], step, seen.shape[1], step, 3
    ).mean(axis=(1, 3))
    assert np.abs(seen - expected).max() < 12
    assert picture.is_rotated
    assert (picture.height, picture.width) == upright.shape[:2]


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_the_whole_size_is_told_of_a_reduced_decode(mode: str) -> None:
    data = encode(noise(400, 640), "JPEG")
    picture = images.decode(data, name="x", least_size=50, mode=mode)
    assert (picture.width, picture.height) == (640, 400)
    assert picture.image.size == (80, 50)
    assert picture.image.mode == mode
    assert not picture.is_rotated


def test_zero_bytes_are_told_as_such() -> None:
    with pytest.raises(errors.BadImageError, match="zero bytes only"):
        images.decode(bytes(1000), name="x")


def test_a_progressive_jpeg_and_a_single_pixel_are_read() -> None:
    smooth = Image.linear_gradient("L").convert("RGB")
    data = encode(smooth, "JPEG", progressive=True, quality=95)
    seen = np.asarray(images.decode(data, name="x").image, np.int64)
    assert np.abs(seen - np.asarray(smooth)).max() <= 3
    pixel = encode(Image.new("RGB", (1, 1), (9, 8, 7)), "PNG")
    picture = images.decode(pixel, name="x").image
    assert picture.size == (1, 1)
    assert picture.getpixel((0, 0)) == (9, 8, 7)


def test_encoding_repeats_and_keeps_a_single_red_pixel_red() -> None:
    image = np.full((16, 16, 3), 128, np.uint8)
    image[8, 8] = (200, 40, 40)
    data = images.encode_jpeg(image)
    assert data == images.encode_jpeg(image)
    red, green, _ = images.decode(data, name="x").image.getpixel((8, 8))
    assert red - green > 120


def test_no_warning_of_pillow_escapes() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        images.decode(encode(noise(8, 8), "JPEG"), name="x")

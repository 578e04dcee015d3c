"""What becomes of bad raw files, from the file to the launcher's message.

`datasets/README.md` lists these cases with the name of each test.
"""

import io
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import ExifTags, Image

import transfusion_datasets
from tests.datasets import photographs
from transfusion_tf.raw import errors

NAME = "transfusion_eyepacs/circle48"
BAD = "11_right.jpeg"
BLACK = np.zeros((72, 96, 3), np.uint8)


def field() -> Image.Image:
    """A photograph that is in none of the fixtures."""
    disc = photographs.disc(shape=(72, 96), centre=(50, 37), radius=31)
    return Image.fromarray(disc)


def encode(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format=kind, **options)
    return file.getvalue()


def sixteen_bit_png() -> bytes:
    grey = np.asarray(field().convert("L")).astype(np.uint16) * 257
    return encode(Image.fromarray(grey), "PNG")


def animated_gif() -> bytes:
    frames = [field(), field().rotate(90)]
    return encode(frames[0], "GIF", save_all=True, append_images=frames[1:])


REFUSED = {
    "truncated": (encode(field())[:-900], "cannot be decoded"),
    "zero bytes": (bytes(5000), "zero bytes only"),
    "empty": (b"", "the file is empty"),
    "text named .jpeg": (b"image,level\n", "neither a JPEG nor a PNG"),
    "CMYK": (encode(field().convert("CMYK")), "mode is CMYK"),
    "16-bit PNG": (sixteen_bit_png(), "16 bits a channel"),
    "animated GIF": (animated_gif(), "neither a JPEG nor a PNG"),
    "one pixel": (encode(Image.new("RGB", (1, 1))), "No circular field"),
    "all black": (encode(Image.fromarray(BLACK)), "No circular field"),
}


def with_file(root: pathlib.Path, content: bytes) -> pathlib.Path:
    photographs.write(root, patients=range(25))
    (root / "train" / BAD).write_bytes(content)
    return root


@pytest.mark.parametrize("case", REFUSED)
def test_an_unusable_image_is_named_when_checked_and_when_prepared(
    tmp_path: pathlib.Path, case: str
) -> None:
    content, reason = REFUSED[case]
    raw = with_file(tmp_path / "raw", content)
    (error,) = transfusion_datasets.check(NAME, manual_dir=raw)
    assert reason in str(error)
    assert f"raw/train/{BAD}" in str(error)
    with pytest.raises(errors.DataError) as raised:
        transfusion_datasets.prepare(
            NAME, data_dir=tmp_path / "data", manual_dir=raw
        )
    assert str(raised.value) == str(error)
    assert not list(tmp_path.rglob("*.tfrecord*"))


def orientation(value: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = value
    return exif


@pytest.mark.parametrize(
    ("content", "notes"),
    [
        (encode(field(), progressive=True), {"enlarged"}),
        (encode(field(), exif=orientation(6)), {"enlarged", "rotated"}),
        (encode(field().convert("L")), {"enlarged"}),
    ],
    ids=["progressive", "EXIF-rotated", "grey"],
)
def test_a_usable_image_is_read_and_what_was_done_to_it_counted(
    tmp_path: pathlib.Path, content: bytes, notes: set[str]
) -> None:
    raw = with_file(tmp_path / "raw", content)
    name = "transfusion_eyepacs/circle64"
    assert transfusion_datasets.check(name, manual_dir=raw) == []
    builder = transfusion_datasets.prepare(
        name, data_dir=tmp_path / "data", manual_dir=raw
    )
    parts = transfusion_datasets.split_report(builder)["splits"].values()
    assert {note for part in parts for note in part["notes"]} == notes
    assert sum(part["notes"].get("rotated", 0) for part in parts) == (
        "rotated" in notes
    )


def copied_across_splits(root: pathlib.Path) -> tuple[str, str]:
    """Overwrites a test image by a train image; returns both ids."""
    photographs.write(root, patients=range(25))
    parts = transfusion_datasets.prepared_builder(NAME, data_dir=root).parts(
        root
    )
    first, last = parts.splits["train"][0], parts.splits["test"][0]
    pathlib.Path(last.path).write_bytes(pathlib.Path(first.path).read_bytes())
    return first.image_id, last.image_id


def test_the_same_image_in_two_splits_is_an_error_that_names_both(
    tmp_path: pathlib.Path,
) -> None:
    first, last = copied_across_splits(tmp_path / "raw")
    message = rf"'{last}' in 'test'.*'{first}' in 'train'"
    (found,) = transfusion_datasets.check(NAME, manual_dir=tmp_path / "raw")
    assert isinstance(found, errors.DuplicateError)
    with pytest.raises(errors.DuplicateError, match=message):
        transfusion_datasets.prepare(
            NAME, data_dir=tmp_path / "data", manual_dir=tmp_path / "raw"
        )


def test_the_later_of_two_same_images_can_be_skipped(
    tmp_path: pathlib.Path,
) -> None:
    copied_across_splits(tmp_path / "raw")
    builder = transfusion_datasets.prepare(
        NAME,
        data_dir=tmp_path / "data",
        manual_dir=tmp_path / "raw",
        on_bad="skip",
        max_bad=1,
    )
    counts = {n: s.num_examples for n, s in builder.info.splits.items()}
    assert counts == {"train": 34, "validation": 8, "test": 7}


def test_the_same_image_twice_in_one_split_is_counted(
    tmp_path: pathlib.Path,
) -> None:
    raw = tmp_path / "raw"
    photographs.write(raw, patients=range(25))
    parts = transfusion_datasets.prepared_builder(NAME, data_dir=raw).parts(raw)
    first, second = (pathlib.Path(i.path) for i in parts.splits["train"][:2])
    second.write_bytes(first.read_bytes())
    builder = transfusion_datasets.prepare(
        NAME, data_dir=tmp_path / "data", manual_dir=raw
    )
    report = transfusion_datasets.split_report(builder)
    assert report["splits"]["train"]["notes"]["identical to another"] == 1
    table = transfusion_datasets.format_split_report(report)
    assert "Identical to another: 1 of 34 train images." in table


def run_launcher(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"},
    )


def launch(*arguments: object) -> list[str]:
    return [
        sys.executable,
        "-m",
        "launch.prepare_data",
        f"--dataset={NAME}",
        *map(str, arguments),
    ]


# Root may read everything, whatever the file modes say.
DROPPED = "-dac_override,-dac_read_search"
AS_USER = (
    ["setpriv", f"--bounding-set={DROPPED}", f"--inh-caps={DROPPED}"]
    if os.geteuid() == 0
    else []
)


@pytest.mark.parametrize("what", ["train", f"train/{BAD}"])
def test_what_may_not_be_read_is_named(
    tmp_path: pathlib.Path, what: str
) -> None:
    raw = tmp_path / "raw"
    photographs.write(raw, patients=range(25))
    if AS_USER and run_launcher(*AS_USER, "true").returncode:
        pytest.skip("setpriv may not drop capabilities here")
    (raw / what).chmod(0)
    done = run_launcher(
        *AS_USER,
        *launch(f"--manual_dir={raw}", f"--data_dir={tmp_path / 'data'}"),
    )
    assert done.returncode == 1
    assert "ermission denied" in done.stderr
    assert f"raw/{what}'" in done.stderr
    assert "Traceback" not in done.stderr


FULL_DISK = """
mount -t tmpfs -o size=32m none "$1" || exit 77
head -c 31m /dev/zero > "$1/ballast" || exit 78
shift
"$@"
"""


def test_a_full_disk_is_told_and_nothing_is_kept(
    tmp_path: pathlib.Path,
) -> None:
    raw, data_dir = tmp_path / "raw", tmp_path / "data"
    data_dir.mkdir()
    rng = np.random.default_rng(0)
    photographs.write(raw, patients=range(25))
    for path in (raw / "train").iterdir():
        # Noise does not compress: 50 of them do not fit into a megabyte.
        image = np.asarray(Image.open(path).resize((400, 300)), np.int64)
        noise = rng.integers(-40, 40, image.shape) * (image > 60)
        noisy = np.clip(image + noise, 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(path, quality=95)
    command = launch(f"--manual_dir={raw}", f"--data_dir={data_dir}/sets")
    command[3] = "--dataset=transfusion_eyepacs/circle299"
    done = run_launcher(
        *["unshare", "-rm", "bash", "-c", FULL_DISK, "_", str(data_dir)],
        *command,
    )
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("mounting is not permitted here")
    assert done.returncode == 1
    assert "The disk is full" in done.stderr
    assert f"data_dir='{data_dir}/sets'" in done.stderr
    assert "Traceback" not in done.stderr

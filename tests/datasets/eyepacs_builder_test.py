import functools
import hashlib
import io
import pathlib
import shutil
import subprocess
import sys
import tempfile
from unittest import mock

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image, JpegImagePlugin

import transfusion_datasets
from tests.datasets import photographs
from transfusion_datasets import fundus_images
from transfusion_datasets.transfusion_eyepacs import (
    transfusion_eyepacs_dataset_builder as eyepacs,
)
from transfusion_tf.data import index
from transfusion_tf.raw import errors, images, items


class BuilderTest(tfds.testing.DatasetBuilderTestCase):
    """The checks of tfds itself, on photographs made on the fly."""

    DATASET_CLASS = eyepacs.Builder
    BUILDER_CONFIG_NAMES_TO_TEST = ["circle299"]
    # By the hash of the patients 0 to 24, two eyes each.
    SPLITS = {"train": 34, "validation": 8, "test": 8}

    @classmethod
    def setUpClass(cls) -> None:
        cls.EXAMPLE_DIR = tempfile.mkdtemp()
        photographs.write(pathlib.Path(cls.EXAMPLE_DIR), patients=range(25))
        super().setUpClass()

    @classmethod
    def tearDownClass(cls) -> None:
        shutil.rmtree(cls.EXAMPLE_DIR)
        super().tearDownClass()


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    root = tmp_path_factory.mktemp("raw")
    photographs.write(root, patients=range(25))
    return root


@pytest.fixture(scope="module")
def builder(
    raw: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
) -> tfds.core.DatasetBuilder:
    return transfusion_datasets.prepare(
        "transfusion_eyepacs/circle64",
        data_dir=tmp_path_factory.mktemp("data"),
        manual_dir=raw,
    )


def read(builder: tfds.core.DatasetBuilder) -> dict[str, list[dict]]:
    return {
        split: list(tfds.as_numpy(builder.as_dataset(split=split)))
        for split in builder.info.splits
    }


def test_every_photograph_is_there_once_with_its_labels(
    builder: tfds.core.DatasetBuilder,
) -> None:
    examples = [e for part in read(builder).values() for e in part]
    found = {
        e["image_id"].decode(): (e["patient_id"].decode(), e["eye"], e["grade"])
        for e in examples
    }
    assert len(examples) == 50
    assert found == {
        f"{patient}_{eye}": (str(patient), side, (patient + side) % 5)
        for patient in range(25)
        for side, eye in enumerate(("left", "right"))
    }


def test_no_patient_is_in_two_splits(
    builder: tfds.core.DatasetBuilder,
) -> None:
    patients = [
        {example["patient_id"] for example in part}
        for part in read(builder).values()
    ]
    assert sum(map(len, patients)) == len(set.union(*patients)) == 25


def test_the_field_is_centred_and_has_the_diameter_asked_for(
    builder: tfds.core.DatasetBuilder,
) -> None:
    for example in read(builder)["test"]:
        assert example["image"].shape == (64, 64, 3)
        bright = example["image"].max(axis=2) > 40
        y, x = np.nonzero(bright)
        np.testing.assert_allclose((x.mean(), y.mean()), 31.5, atol=0.6)
        np.testing.assert_allclose(bright.sum(), np.pi * 32**2, rtol=0.04)


def test_circle_size_and_hash_describe_the_original(
    builder: tfds.core.DatasetBuilder, raw: pathlib.Path
) -> None:
    for example in read(builder)["validation"]:
        path = raw / "train" / f"{example['image_id'].decode()}.jpeg"
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert example["source_sha256"].decode() == digest
        np.testing.assert_array_equal(
            example["original_size"], photographs.SIZE
        )
        np.testing.assert_allclose(
            example["circle"], (48, 36, photographs.RADIUS), atol=1
        )


def test_the_report_survives_on_disk_and_counts_what_was_enlarged(
    builder: tfds.core.DatasetBuilder,
) -> None:
    # Read by someone who has not our code.
    other = tfds.builder_from_directory(builder.data_path)
    report = transfusion_datasets.split_report(other)
    assert report["salt"] == "transfusion_eyepacs"
    for split, examples in read(builder).items():
        counts = np.bincount([e["grade"] for e in examples], minlength=5)
        described = report["splits"][split]
        assert described["num_images"] == len(examples)
        assert described["num_patients"] == len(
            {e["patient_id"] for e in examples}
        )
        assert list(described["label_counts"]["grade"].values()) == list(counts)
        # 60 pixels became 64.
        assert described["notes"]["enlarged"] == len(examples)


def test_another_process_prepares_the_same_records_in_the_same_order(
    builder: tfds.core.DatasetBuilder,
    raw: pathlib.Path,
    tmp_path: pathlib.Path,
) -> None:
    code = (
        "import sys, transfusion_datasets; transfusion_datasets.prepare("
        "'transfusion_eyepacs/circle64', data_dir=sys.argv[1], "
        "manual_dir=sys.argv[2])"
    )
    command = [sys.executable, "-c", code, str(tmp_path), str(raw)]
    subprocess.run(command, check=True)
    again = transfusion_datasets.prepared_builder(
        "transfusion_eyepacs/circle64", data_dir=tmp_path
    )
    for split in builder.info.splits:
        # Bytes of files differ: protobuf orders a record's keys by chance.
        one, two = (
            index.open_index(b.data_path, split, command="")
            for b in (builder, again)
        )
        assert one.images_sha256 == two.images_sha256
        for name, values in one.columns.items():
            np.testing.assert_array_equal(values, two.columns[name])


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", errors.BadImageError),
        (b"\xff\xd8\xff\xe0 broken", errors.BadImageError),
        (
            images.encode_jpeg(np.full((64, 64, 3), 128, np.uint8)),
            errors.CircleNotFoundError,
        ),
    ],
)
def test_a_bad_photograph_is_named_and_nothing_is_left(
    tmp_path: pathlib.Path, data: bytes, error: type[Exception]
) -> None:
    raw, data_dir = tmp_path / "raw", tmp_path / "data"
    photographs.write(raw, patients=range(25))
    (raw / "train" / "11_right.jpeg").write_bytes(data)
    with pytest.raises(error, match=r"raw/train/11_right\.jpeg"):
        transfusion_datasets.prepare(
            "transfusion_eyepacs/circle64", data_dir=data_dir, manual_dir=raw
        )
    assert not list(data_dir.rglob("*.tfrecord*"))
    assert not transfusion_datasets.is_prepared(
        "transfusion_eyepacs/circle64", data_dir=data_dir
    )


def large_photograph(path: pathlib.Path) -> items.Item:
    disc = photographs.disc(shape=(600, 900), centre=(430, 310), radius=280)
    Image.fromarray(disc).save(path, quality=95)
    return items.Item("1_left", "1", str(path))


def test_a_reduced_decode_tells_the_circle_in_original_pixels(
    tmp_path: pathlib.Path,
) -> None:
    photograph = large_photograph(tmp_path / "1_left.jpeg")
    processed = fundus_images.crop_field(photograph, diameter=75)
    np.testing.assert_allclose(
        processed.example["circle"], (430, 310, 280), atol=3
    )
    np.testing.assert_array_equal(
        processed.example["original_size"], (600, 900)
    )
    assert not processed.notes


def test_a_reduced_decode_gives_the_image_of_a_full_one(
    tmp_path: pathlib.Path,
) -> None:
    photograph = large_photograph(tmp_path / "1_left.jpeg")
    process = functools.partial(fundus_images.crop_field, diameter=75)
    reduced = process(photograph).example["image"]
    with mock.patch.object(JpegImagePlugin.JpegImageFile, "draft"):
        full = process(photograph).example["image"]
    assert full != reduced
    one, two = (
        np.asarray(Image.open(io.BytesIO(e)), np.int64) for e in (reduced, full)
    )
    assert np.abs(one - two).mean() < 2


@pytest.mark.parametrize(
    ("name", "diameter"), [("circle112", 112), ("circle1024", 1024)]
)
def test_any_diameter_makes_a_configuration(name: str, diameter: int) -> None:
    config = eyepacs.Builder.make_config(name)
    assert config is not None
    assert (config.name, config.image_size) == (name, diameter)


@pytest.mark.parametrize("name", ["circle", "circle0", "circle1e3", "n64"])
def test_other_names_make_none(name: str) -> None:
    assert eyepacs.Builder.make_config(name) is None


@pytest.mark.sample_data
def test_a_circle_is_found_in_real_photographs(
    sample_data: pathlib.Path,
) -> None:
    folder = sample_data / "eyepacs" / "train"
    if not folder.is_dir():
        pytest.skip("$TRANSFUSION_SAMPLE_DATA has no eyepacs folder")
    # A field that was cropped to fill the frame has about its half width.
    radii = []
    for path in sorted(folder.iterdir())[::50]:
        photograph = items.Item(path.stem, "1", str(path))
        radii.append(
            fundus_images.crop_field(photograph, diameter=64).example["circle"][
                2
            ]
        )
    assert len(radii) == 40
    assert 126 < np.median(radii) < 131

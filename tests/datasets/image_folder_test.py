import io
import pathlib
import shutil
import tempfile

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

import transfusion_datasets
from transfusion_datasets.transfusion_image_folder import (
    transfusion_image_folder_dataset_builder as image_folder,
)
from transfusion_tf import data
from transfusion_tf.raw import errors


def write_image(path: pathlib.Path, seed: int, size: tuple[int, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    Image.fromarray(pixels).save(path)


def write_folder(root: pathlib.Path) -> None:
    """60 train and 6 test images of 3 classes."""
    seed = 0
    for split, count in (("train", 20), ("test", 2)):
        for name in ("one", "three", "two"):
            for number in range(count):
                path = root / split / name / f"{number} é.png"
                write_image(path, seed, (20, 30))
                seed += 1


class ImageFolderTest(tfds.testing.DatasetBuilderTestCase):
    """The checks of tfds itself, on images made on the fly."""

    DATASET_CLASS = image_folder.Builder
    SPLITS = {"train": 57, "validation": 3, "test": 6}  # By the hash.

    @classmethod
    def setUpClass(cls) -> None:
        cls.EXAMPLE_DIR = tempfile.mkdtemp()
        write_folder(pathlib.Path(cls.EXAMPLE_DIR))
        super().setUpClass()

    @classmethod
    def tearDownClass(cls) -> None:
        shutil.rmtree(cls.EXAMPLE_DIR)
        super().tearDownClass()


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    root = tmp_path_factory.mktemp("raw")
    write_folder(root)
    return root


def prepare(
    config: str, raw: pathlib.Path, data_dir: pathlib.Path
) -> tfds.core.DatasetBuilder:
    return transfusion_datasets.prepare(
        f"transfusion_image_folder/{config}", data_dir=data_dir, manual_dir=raw
    )


def test_prepared_and_read_on_the_fly_are_the_same(
    raw: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    prepare("mine_original", raw, tmp_path)
    prepared = data.open_task(
        "tfds:transfusion_image_folder/mine_original", data_dir=str(tmp_path)
    )
    folder = data.open_task(f"folder:{raw}")
    assert prepared.classes == folder.classes == ("one", "three", "two")
    for split in data.SPLIT_NAMES:
        found = []
        for task in (prepared, folder):
            opened = data.open_split(task, split, data_dir=str(tmp_path))
            reader = data.SplitReader(opened, 32)
            (batch,) = reader.evaluation_batches(
                opened.num_examples
            ).as_numpy_iterator()
            found.append(
                {
                    name: (patient, label, image.tobytes())
                    for name, patient, label, image in zip(
                        opened.image_ids,
                        opened.patients,
                        batch["label"],
                        batch["image"],
                        strict=True,
                    )
                }
            )
        assert found[0] == found[1]


def test_images_are_brought_to_size_without_changing_shapes(
    raw: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    builder = prepare("n15", raw, tmp_path)
    for example in tfds.as_numpy(builder.as_dataset(split="test")):
        image = example["image"]
        assert image.shape == (15, 15, 3)
        # 20 x 30 becomes 10 x 15, with black above and below.
        assert image[:2].max() < 40 and image[13:].max() < 40
        assert image[4:11].mean() > 80
    report = transfusion_datasets.split_report(builder)
    assert report["splits"]["test"]["label_counts"] == {
        "label": {"one": 2, "three": 2, "two": 2}
    }


def test_two_data_sets_stand_side_by_side(
    raw: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    other = tmp_path / "other"
    for seed in range(60):
        write_image(other / f"{seed % 2}" / f"{seed}.png", 999 + seed, (8, 8))
    prepare("a_n8", raw, tmp_path / "data")
    prepare("b_n8", other, tmp_path / "data")
    for name, classes in (("a", ("one", "three", "two")), ("b", ("0", "1"))):
        task = data.open_task(
            f"tfds:transfusion_image_folder/{name}_n8",
            data_dir=str(tmp_path / "data"),
        )
        assert task.classes == classes


def test_the_same_image_in_two_given_splits_is_refused(
    raw: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    copied = tmp_path / "raw"
    shutil.copytree(raw, copied)
    shutil.copy(copied / "train/one/0 é.png", copied / "test/one/copy.png")
    with pytest.raises(errors.PatientLeakError, match=r"test/one/copy\.png"):
        prepare("n8", copied, tmp_path / "data")
    task = data.open_task(f"folder:{copied}")
    splits = [data.open_split(task, name) for name in data.SPLIT_NAMES]
    with pytest.raises(ValueError, match=r"copy\.png' in test"):
        data.check_patients_disjoint(splits)


def bad_files() -> dict[str, tuple[bytes, str]]:
    image = Image.fromarray(np.full((9, 9, 3), 7, np.uint8))

    def encode(picture: Image.Image, kind: str, **options: object) -> bytes:
        file = io.BytesIO()
        picture.save(file, kind, **options)
        return file.getvalue()

    exif = Image.Exif()
    exif[0x0112] = 6
    sixteen = Image.fromarray(np.full((9, 9), 40_000, np.uint16))
    return {
        "CMYK": (encode(image.convert("CMYK"), "JPEG"), "mode is CMYK"),
        "16 bits": (encode(sixteen, "PNG"), "16 bits a channel"),
        "rotated": (encode(image, "JPEG", exif=exif), "EXIF orientation"),
        "GIF": (encode(image, "GIF"), "neither a JPEG nor a PNG"),
        "empty": (b"", "the file is empty"),
    }


@pytest.mark.parametrize("case", bad_files())
def test_what_would_be_read_wrongly_on_the_fly_is_refused(
    raw: pathlib.Path, tmp_path: pathlib.Path, case: str
) -> None:
    content, reason = bad_files()[case]
    copied = tmp_path / "raw"
    shutil.copytree(raw, copied)
    (copied / "test" / "one" / "bad.jpg").write_bytes(content)
    task = data.open_task(f"folder:{copied}")
    with pytest.raises(errors.BadImageError, match=rf"(?s){reason}.*bad\.jpg"):
        data.open_split(task, "test")


@pytest.mark.parametrize("manual_dir", [None, "nowhere"])
def test_a_directory_is_asked_for(
    manual_dir: str | None, tmp_path: pathlib.Path
) -> None:
    with pytest.raises(errors.ManualDirError, match="--manual_dir=DIR"):
        transfusion_datasets.prepare(
            "transfusion_image_folder", data_dir=tmp_path, manual_dir=manual_dir
        )

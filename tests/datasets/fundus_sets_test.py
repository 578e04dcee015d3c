"""APTOS, IDRiD and Messidor-2: layouts, oddities of their label files."""

import pathlib
import shutil
import tempfile
from collections.abc import Sequence

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

import transfusion_datasets
from tests.datasets import photographs
from transfusion_datasets.transfusion_aptos import layout as aptos
from transfusion_datasets.transfusion_aptos import (
    transfusion_aptos_dataset_builder as aptos_builder,
)
from transfusion_datasets.transfusion_idrid import layout as idrid
from transfusion_datasets.transfusion_idrid import (
    transfusion_idrid_dataset_builder as idrid_builder,
)
from transfusion_datasets.transfusion_messidor2 import layout as messidor2
from transfusion_datasets.transfusion_messidor2 import (
    transfusion_messidor2_dataset_builder as messidor2_builder,
)
from transfusion_tf.raw import errors, items


def write_image(path: pathlib.Path, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    disc = photographs.disc(seed=number)
    kind = "PNG" if path.suffix.lower() == ".png" else "JPEG"
    Image.fromarray(disc).save(path, kind)


def write_aptos(root: pathlib.Path, count: int = 60) -> None:
    names = [f"{number:012x}" for number in range(count)]
    lines = ["id_code,diagnosis"]
    for number, name in enumerate(names):
        write_image(root / "train_images" / f"{name}.png", number)
        lines.append(f"{name},{number % 5}")
    write_image(root / "test_images" / "unlabelled.png", count)
    (root / "train.csv").write_text("\n".join(lines) + "\n")


def write_idrid(root: pathlib.Path, count: int = 40) -> None:
    home = root / idrid.FOLDER
    # The official headers: a trailing space, and in the training labels
    # columns without name.
    header = "Image name,Retinopathy grade,Risk of macular edema "
    for split, end in (("train", ",,,"), ("test", "")):
        lines = [header + end]
        for number in range(1, count + 1):
            name = f"IDRiD_{number:03d}"
            path = home / idrid.IMAGES[split] / f"{name}.jpg"
            write_image(path, number + 1000 * (split == "test"))
            lines.append(f"{name},{number % 5},{number % 3}{end}")
        path = home / idrid.LABELS[split]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\r\n".join(lines) + "\r\n")


def write_messidor2(root: pathlib.Path) -> None:
    rows = [
        # The suffix of the label file is not that of the disk.
        ("20051020_43808_0100_PP.png", "2", "0", "1"),
        ("IM0001.jpg", "0", "0", "1"),
        ("IM0002.jpg", "", "", "0"),
        ("IM0003.jpg", "4.0", "1.0", "1"),
    ]
    files = (
        "20051020_43808_0100_PP.PNG",
        "IM0001.JPG",
        "IM0002.jpg",
        "IM0003.png",
    )
    for number, name in enumerate(files):
        write_image(root / "IMAGES" / name, number)
    columns = ("dr_grade", "dme", "gradable")
    header = ",".join(["image_id", *(f"adjudicated_{c}" for c in columns)])
    lines = [header, *(",".join(row) for row in rows)]
    (root / "messidor_data.csv").write_text("\n".join(lines) + "\n")


class _BuilderTest(tfds.testing.DatasetBuilderTestCase):
    """The checks of tfds itself, on photographs made on the fly."""

    BUILDER_CONFIG_NAMES_TO_TEST = ["circle299"]

    @classmethod
    def setUpClass(cls) -> None:
        cls.EXAMPLE_DIR = tempfile.mkdtemp()
        cls.write(pathlib.Path(cls.EXAMPLE_DIR))
        # Where a file goes depends on its bytes, and these on the encoder.
        parts = cls.layout.read(cls.EXAMPLE_DIR).splits
        cls.SPLITS = {name: len(part) for name, part in parts.items()}
        super().setUpClass()

    @classmethod
    def tearDownClass(cls) -> None:
        shutil.rmtree(cls.EXAMPLE_DIR)
        super().tearDownClass()


class AptosTest(_BuilderTest):
    DATASET_CLASS = aptos_builder.Builder
    layout = aptos
    write = staticmethod(write_aptos)


class IdridTest(_BuilderTest):
    DATASET_CLASS = idrid_builder.Builder
    layout = idrid
    write = staticmethod(write_idrid)


class Messidor2Test(_BuilderTest):
    DATASET_CLASS = messidor2_builder.Builder
    layout = messidor2
    write = staticmethod(write_messidor2)


del _BuilderTest  # Else it would be collected, without a data set.


def grades(part: Sequence[items.Item]) -> dict[str, int]:
    return {item.image_id: item.values["grade"] for item in part}


def test_aptos_reads_every_labelled_image_once(tmp_path: pathlib.Path) -> None:
    write_aptos(tmp_path)
    parts = aptos.read(tmp_path).splits
    found: dict[str, int] = {}
    for part in parts.values():
        found |= grades(part)
    assert found == {f"{number:012x}": number % 5 for number in range(60)}
    assert sum(map(len, parts.values())) == 60


def test_copies_of_an_image_are_one_patient_of_aptos(
    tmp_path: pathlib.Path,
) -> None:
    write_aptos(tmp_path)
    folder = tmp_path / "train_images"
    for number in range(20):
        shutil.copy(
            folder / f"{number:012x}.png", folder / f"{number + 20:012x}.png"
        )
    parts = aptos.read(tmp_path).splits
    items.check_patient_disjoint(parts)
    patients = {item.patient_id for part in parts.values() for item in part}
    assert len(patients) == 40


@pytest.mark.parametrize("name", ["valid.csv", "val_images"])
def test_the_copy_of_aptos_that_was_dealt_out_anew_is_refused(
    tmp_path: pathlib.Path, name: str
) -> None:
    write_aptos(tmp_path)
    (tmp_path / name).mkdir()
    with pytest.raises(
        errors.ManualDirError, match=f"{name} is there.*copies of one image"
    ):
        aptos.read(tmp_path)


def test_idrid_keeps_its_test_set_and_both_labels(
    tmp_path: pathlib.Path,
) -> None:
    write_idrid(tmp_path)
    for root in (tmp_path, tmp_path / idrid.FOLDER):
        parts = idrid.read(root).splits
        assert list(parts) == ["train", "validation", "test"]
        assert grades(parts["test"]) == {
            f"test/IDRiD_{n:03d}": n % 5 for n in range(1, 41)
        }
        assert len(parts["train"]) + len(parts["validation"]) == 40
        for part in parts.values():
            for item in part:
                number = int(item.image_id[-3:])
                assert item.values["dme"] == number % 3


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("IDRiD_003,3,0", "IDRiD_003,5,0", "Retinopathy grade '5' of Image"),
        ("IDRiD_003,3,0", "IDRiD_003,3,3", "edema='3' in line 4"),
        ("IDRiD_003,3,0", "IDRiD_003,3,0,x", "4 fields in line 4"),
        ("IDRiD_003", "IDRiD_004", "'IDRiD_004' again in line 5"),
        ("IDRiD_003", "IDRiD_999", "no file for IDRiD_999"),
    ],
)
def test_a_wrong_row_of_idrid_is_named(
    tmp_path: pathlib.Path, old: str, new: str, message: str
) -> None:
    write_idrid(tmp_path)
    path = tmp_path / idrid.FOLDER / idrid.LABELS["test"]
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(errors.DataError, match=message):
        idrid.read(tmp_path)


def test_messidor2_matches_names_whatever_their_suffix(
    tmp_path: pathlib.Path,
) -> None:
    write_messidor2(tmp_path)
    parts = messidor2.read(tmp_path).splits
    assert list(parts) == ["test"]
    values = {item.image_id: dict(item.values) for item in parts["test"]}
    shared = {"eye": "unknown"}
    assert values == {
        "20051020_43808_0100_PP": shared
        | {"grade": 2, "dme": 0, "gradable": 1},
        "IM0001": shared | {"grade": 0, "dme": 0, "gradable": 1},
        "IM0002": shared | {"grade": -1, "dme": -1, "gradable": 0},
        "IM0003": shared | {"grade": 4, "dme": 1, "gradable": 1},
    }


@pytest.mark.parametrize(
    ("row", "received"),
    [
        ("IM0009,2,0,0", "adjudicated_dr_grade='2'.*gradable='0' in line 6"),
        ("IM0009,,0,1", "adjudicated_dr_grade=''"),
        ("IM0009,7,0,1", "adjudicated_dr_grade='7'"),
        ("IM0009,2,0,", "adjudicated_gradable=''"),
        ("IM0001.JPG,0,0,1", "image_id 'IM0001' again in line 6"),
        ("IM0009,0,0,1", "no file for IM0009"),
    ],
)
def test_a_wrong_row_of_messidor2_is_named(
    tmp_path: pathlib.Path, row: str, received: str
) -> None:
    write_messidor2(tmp_path)
    with (tmp_path / "messidor_data.csv").open("a") as file:
        file.write(row + "\n")
    with pytest.raises(errors.DataError, match=received):
        messidor2.read(tmp_path)


@pytest.mark.parametrize(
    ("write", "layout", "missing"),
    [
        (write_aptos, aptos, "train.csv"),
        (write_aptos, aptos, "train_images"),
        (write_idrid, idrid, f"{idrid.FOLDER}/{idrid.LABELS['test']}"),
        (write_messidor2, messidor2, "messidor_data.csv"),
    ],
)
def test_what_is_missing_is_said_with_where_to_get_it(
    tmp_path: pathlib.Path, write, layout, missing: str
) -> None:
    with pytest.raises(errors.ManualDirError, match="--manual_dir=DIR"):
        layout.check(None)
    write(tmp_path)
    path = tmp_path / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(errors.ManualDirError) as raised:
        layout.check(tmp_path)
    message = str(raised.value)
    assert pathlib.Path(missing).name in message
    assert "There is:" in message
    assert layout.WHERE in message


def test_ungradable_images_are_left_out_of_tasks_and_counted(
    tmp_path: pathlib.Path,
) -> None:
    from transfusion_tf import data

    write_messidor2(tmp_path / "raw")
    transfusion_datasets.prepare(
        "transfusion_messidor2/circle48",
        data_dir=tmp_path / "data",
        manual_dir=tmp_path / "raw",
    )
    task = data.task("messidor2_referable")
    arguments = {
        "data_dir": str(tmp_path / "data"),
        "dataset_config": "circle48",
    }
    split = data.open_split(task, "test", **arguments)
    assert split.num_examples == 3
    assert split.left_out == {"without a label": 1}
    reader = data.SplitReader(split, 48)
    (batch,) = reader.evaluation_batches(3).as_numpy_iterator()
    np.testing.assert_array_equal(batch["label"], split.labels)
    with pytest.raises(ValueError, match=r"no split 'train'.*with test"):
        data.open_split(task, "train", **arguments)

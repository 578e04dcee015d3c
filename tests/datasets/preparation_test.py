import pathlib
import re
import subprocess
import sys
from unittest import mock

import pytest
import tensorflow_datasets as tfds

import transfusion_datasets
from tests.datasets import photographs
from transfusion_datasets.transfusion_synthetic_fundus import generator
from transfusion_tf.raw import errors

NAME = "transfusion_synthetic_fundus/n64"


@pytest.fixture(autouse=True)
def _few_patients() -> object:
    few = {"train": 5, "validation": 2, "test": 3}
    with mock.patch.dict(generator.NUM_PATIENTS, few):
        yield


def test_importing_the_package_imports_no_tensorflow() -> None:
    code = (
        "import sys, transfusion_datasets; "
        "sys.exit(any(m.startswith('tensorflow') for m in sys.modules))"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], check=False).returncode
        == 0
    )


def test_an_unknown_attribute_is_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        transfusion_datasets.nothing  # noqa: B018


@pytest.mark.parametrize("name", ["coco", "diabetic_retinopathy_detection"])
def test_the_data_sets_of_tfds_stay_usable(
    name: str, tmp_path: pathlib.Path
) -> None:
    for ours in transfusion_datasets.data_set_names():
        transfusion_datasets.prepared_builder(ours, data_dir=tmp_path)
        assert tfds.builder_cls(ours).name == ours
    assert tfds.builder_cls(name).name == name


def test_every_data_set_has_a_builder_folder() -> None:
    folder = pathlib.Path(transfusion_datasets.__file__).parent
    found = {p.parent.name for p in folder.glob("*/*_dataset_builder.py")}
    assert found == set(transfusion_datasets.data_set_names())


def test_what_is_prepared_is_not_prepared_again(tmp_path: pathlib.Path) -> None:
    assert not transfusion_datasets.is_prepared(NAME, data_dir=tmp_path)
    transfusion_datasets.prepare(NAME, data_dir=tmp_path)
    assert transfusion_datasets.is_prepared(NAME, data_dir=tmp_path)
    with mock.patch.object(generator, "draw", side_effect=AssertionError):
        builder = transfusion_datasets.prepare(NAME, data_dir=tmp_path)
    assert builder.info.splits["train"].num_examples == 10


def test_prepared_data_are_read_without_our_code(
    tmp_path: pathlib.Path,
) -> None:
    builder = transfusion_datasets.prepare(NAME, data_dir=tmp_path)
    other = tfds.builder_from_directory(builder.data_path)
    assert transfusion_datasets.split_report(
        other
    ) == transfusion_datasets.split_report(builder)
    ids = {
        example["image_id"].decode()
        for example in tfds.as_numpy(other.as_dataset(split="all"))
    }
    assert len(ids) == 20


def test_a_configuration_that_is_not_listed_is_prepared_and_read_by_name(
    tmp_path: pathlib.Path,
) -> None:
    raw = tmp_path / "raw"
    photographs.write(raw, patients=range(25))
    name = "transfusion_eyepacs/circle32"
    transfusion_datasets.prepare(
        name, data_dir=tmp_path / "data", manual_dir=raw
    )
    # Once prepared, the raw files are not needed any more.
    transfusion_datasets.prepare(name, data_dir=tmp_path / "data")
    builder = tfds.builder(name, data_dir=tmp_path / "data")
    example = next(iter(builder.as_dataset(split="train")))
    assert example["image"].shape == (32, 32, 3)


def test_an_unknown_data_set_is_refused_with_the_known_ones(
    tmp_path: pathlib.Path,
) -> None:
    with pytest.raises(
        errors.DatasetNameError,
        match="name='eyepacs'.*transfusion_eyepacs, transfusion_idrid",
    ):
        transfusion_datasets.prepare("eyepacs", data_dir=tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "transfusion_synthetic_fundus/n65",
            r"config='n65'.*n64, n96, n112, n224\. ",
        ),
        (
            "transfusion_eyepacs/n64",
            "config='n64'.*circle587, circle299, .* and circleN .* for any",
        ),
    ],
)
def test_an_unknown_configuration_is_refused_with_the_known_ones(
    tmp_path: pathlib.Path, name: str, message: str
) -> None:
    with pytest.raises(errors.DatasetNameError, match=message):
        transfusion_datasets.is_prepared(name, data_dir=tmp_path)


def test_raw_files_are_asked_for_before_anything_is_written(
    tmp_path: pathlib.Path,
) -> None:
    with pytest.raises(errors.ManualDirError, match="--manual_dir=DIR"):
        transfusion_datasets.prepare("transfusion_eyepacs", data_dir=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_directory_that_cannot_be_written_is_refused(
    tmp_path: pathlib.Path,
) -> None:
    (tmp_path / "file").touch()
    path = str(tmp_path / "file" / "data")
    with pytest.raises(
        errors.DataDirError,
        match=rf"cannot be written.*{re.escape(path)}.*--data_dir=DIR",
    ):
        transfusion_datasets.prepare(NAME, data_dir=path)


def test_an_interrupted_preparation_leaves_nothing_under_the_final_name(
    tmp_path: pathlib.Path,
) -> None:
    with (
        mock.patch.object(generator, "draw", side_effect=KeyboardInterrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        transfusion_datasets.prepare(NAME, data_dir=tmp_path)
    assert not list(tmp_path.rglob("*.tfrecord*"))
    assert not transfusion_datasets.is_prepared(NAME, data_dir=tmp_path)


def test_of_two_processes_that_prepare_the_second_takes_the_firsts(
    tmp_path: pathlib.Path,
) -> None:
    class Overtaken:
        """Is told of the first image; by then another has done them all."""

        def start(self, total: int) -> None:
            pass

        def update(self, num_steps: int, description: str) -> None:
            if not transfusion_datasets.is_prepared(NAME, data_dir=tmp_path):
                transfusion_datasets.prepare(NAME, data_dir=tmp_path)

    builder = transfusion_datasets.prepare(
        NAME, data_dir=tmp_path, progress=Overtaken()
    )
    alone = transfusion_datasets.prepare(NAME, data_dir=tmp_path / "alone")
    assert builder.info.splits["train"].num_examples > 0
    for name in ("train", "validation", "test"):
        ours, theirs = (b.info.splits[name] for b in (builder, alone))
        assert ours.num_examples == theirs.num_examples
    assert not list(tmp_path.rglob("*incomplete*"))


def test_data_without_a_report_are_refused(tmp_path: pathlib.Path) -> None:
    builder = transfusion_datasets.prepared_builder(NAME, data_dir=tmp_path)
    with pytest.raises(
        errors.DataError, match="no split report.*launch.prepare_data"
    ):
        transfusion_datasets.split_report(builder)

import pathlib
import shutil
import struct

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from transfusion_tf import data, training
from transfusion_tf.data import index
from transfusion_tf.raw import errors

TASK = "synthetic_fundus_referable"


@pytest.fixture
def data_dir(synthetic_data_dir, tmp_path) -> pathlib.Path:
    """A copy of the prepared set that a test may damage."""
    return pathlib.Path(shutil.copytree(synthetic_data_dir, tmp_path / "tfds"))


def shard_of(data_dir: pathlib.Path, split: str = "test") -> pathlib.Path:
    (path,) = data_dir.rglob(f"*-{split}.tfrecord-*")
    return path


def open_test(data_dir: pathlib.Path) -> data.Split:
    return data.open_split(data.task(TASK), "test", data_dir=str(data_dir))


def test_the_index_holds_what_the_records_hold(data_dir):
    directory = shard_of(data_dir).parent
    opened = index.open_index(directory, "test", command="")
    builder = tfds.builder_from_directory(directory)
    config = tfds.ReadConfig(interleave_cycle_length=1)
    examples = list(
        tfds.as_numpy(builder.as_dataset(split="test", read_config=config))
    )
    for name in ("image_id", "patient_id", "grade", "eye"):
        expected = [example[name] for example in examples]
        np.testing.assert_array_equal(opened.columns[name], expected)
    assert opened.num_records == len(examples) == 200
    assert (opened.image, opened.label) == ("image", "grade")
    assert opened.classes == (
        "none",
        "mild",
        "moderate",
        "severe",
        "proliferative",
    )


def test_opening_reads_no_record(data_dir, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a record is read")

    monkeypatch.setattr(tf.data, "TFRecordDataset", refuse)
    assert open_test(data_dir).num_examples == 200


def test_data_without_an_index_come_with_the_command_that_makes_it(data_dir):
    (shard_of(data_dir).parent / "manifest.json").unlink()
    with pytest.raises(
        FileNotFoundError,
        match=r"(?s)no index.*launch\.prepare_data --dataset=transfusion_synth",
    ):
        open_test(data_dir)


def first_length(content: bytes) -> int:
    return 16 + struct.unpack("<Q", content[:8])[0]


RESIZED = {
    "truncated": lambda c: c[:-9],
    "empty": lambda c: b"",
    "cut in a header": lambda c: c[: first_length(c) + 5],
    "longer": lambda c: c + b"x",
}


@pytest.mark.parametrize("damage", RESIZED)
def test_a_file_of_another_size_is_named_on_opening(data_dir, damage):
    path = shard_of(data_dir)
    path.write_bytes(RESIZED[damage](path.read_bytes()))
    with pytest.raises(
        errors.RecordCountError, match=rf"bytes in '{path}', written were"
    ):
        open_test(data_dir)


def test_a_missing_file_is_named_on_opening(data_dir):
    path = shard_of(data_dir)
    path.unlink()
    with pytest.raises(errors.RecordCountError, match=rf"no '{path}'"):
        open_test(data_dir)


def flip(path: pathlib.Path, record: int) -> None:
    """Flips a bit within a record, which the size does not show."""
    content = bytearray(path.read_bytes())
    start = 0
    for _ in range(record):
        start += first_length(bytes(content[start:]))
    content[start + 200] ^= 4
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("cache_bytes", [1e9, 0])
def test_a_flipped_byte_is_named_with_file_and_record_when_read(
    data_dir, cache_bytes
):
    path = shard_of(data_dir)
    flip(path, 137)
    reader = data.SplitReader(open_test(data_dir), 64, cache_bytes=cache_bytes)
    for make_batches in (
        lambda: reader.evaluation_batches(16),
        lambda: reader.train_batches(seed=0, batch_size=16),
        # What was cached before the damage is not taken for everything.
        lambda: reader.evaluation_batches(16),
    ):
        batches = make_batches()
        with pytest.raises(
            errors.CorruptRecordError, match=rf"record 137 of '{path}'"
        ):
            list(reader.watched(batches))


def test_training_on_a_flipped_byte_names_the_file(data_dir, tmp_path, trainer):
    path = shard_of(data_dir, "train")
    flip(path, 30)
    config = training.TrainConfig(
        model="cbr_tiny",
        task=TASK,
        data_dir=str(data_dir),
        image_size=64,
        batch_size=8,
        num_steps=2,
    )
    with pytest.raises(errors.CorruptRecordError, match=rf"30 of '{path}'"):
        trainer.train(config, tmp_path / "run")


DAMAGES = RESIZED | {"no records": lambda c: b"image,label\n" * 9999}


@pytest.mark.parametrize("damage", [*DAMAGES, "flipped"])
def test_what_was_written_badly_is_found_before_it_counts(data_dir, damage):
    """The index is made of what is read back, not of what was meant."""
    path = shard_of(data_dir)
    info = tfds.builder_from_directory(path.parent).info
    if damage == "flipped":
        flip(path, 3)
    else:
        path.write_bytes(DAMAGES[damage](path.read_bytes()))
    with pytest.raises(errors.DataError, match=f"{path}"):
        data.write_index(info, path.parent)


def test_a_record_too_few_is_counted(data_dir):
    path = shard_of(data_dir)
    info = tfds.builder_from_directory(path.parent).info
    content = path.read_bytes()
    path.write_bytes(content[first_length(content) :])
    with pytest.raises(
        errors.RecordCountError, match="199 records in .*noted were 200"
    ):
        data.write_index(info, path.parent)


def test_records_are_read_as_tensorflow_reads_them(data_dir):
    path = shard_of(data_dir)
    expected = list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
    assert list(data.read_records(path)) == expected


def test_the_hash_of_a_split_tells_of_pixels_as_well_as_of_labels(data_dir):
    before = open_test(data_dir)
    path = shard_of(data_dir)
    info = tfds.builder_from_directory(path.parent).info
    records = list(data.read_records(path))
    image = bytearray(records[5])
    place = bytes(image).index(b"\xff\xd8\xff")
    image[place + 400] ^= 1
    with tf.io.TFRecordWriter(str(path)) as writer:
        for place, record in enumerate(records):
            writer.write(bytes(image) if place == 5 else record)
    data.write_index(info, path.parent)
    after = open_test(data_dir)
    assert after.sha256 == before.sha256
    assert after.images_sha256 != before.images_sha256


def test_a_data_set_of_tfds_is_indexed_by_its_own_names(tmp_path):
    """A foreign set: no ids, no patients, one class label."""

    def images(count):
        rng = np.random.default_rng(count)
        for place in range(count):
            image = rng.integers(0, 256, (6, 6, 3), np.uint8)
            yield place, {"image": image, "label": place % 7}

    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=(6, 6, 3)),
            "label": tfds.features.ClassLabel(names=list("abcdefg")),
        }
    )
    tfds.dataset_builders.store_as_tfds_dataset(
        name="foreign",
        version="1.0.0",
        data_dir=tmp_path,
        features=features,
        split_datasets={
            "train": list(images(30)),
            "validation": list(images(8)),
        },
        config="small",
    )
    import transfusion_datasets

    transfusion_datasets.prepare("tfds:foreign/small", data_dir=tmp_path)
    task = data.open_task("tfds:foreign/small", data_dir=str(tmp_path))
    assert task.classes == tuple("abcdefg")
    assert task.metrics == ("accuracy", "top5_accuracy")
    split = data.open_split(task, "validation", data_dir=str(tmp_path))
    assert sorted(split.labels) == sorted(place % 7 for place in range(8))
    assert split.num_patients == 8
    assert split.image_ids[3] == "validation/3"


def test_a_foreign_set_without_an_index_names_the_command(tmp_path):
    (tmp_path / "mnist/3.0.1").mkdir(parents=True)
    (tmp_path / "mnist/3.0.1/dataset_info.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match="--dataset=tfds:mnist "):
        data.open_task("tfds:mnist", data_dir=str(tmp_path))

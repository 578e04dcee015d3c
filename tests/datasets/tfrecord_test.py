import io
import json
import pathlib
import shutil
import struct
import tempfile

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

import transfusion_datasets
from transfusion_datasets.transfusion_tfrecord import key_map, layout
from transfusion_datasets.transfusion_tfrecord import (
    transfusion_tfrecord_dataset_builder as tfrecord,
)
from transfusion_tf import data
from transfusion_tf.raw import errors

MAP = {
    "image": "image/encoded",
    "label": {
        "key": "image/class/label",
        "kind": "index",
        "offset": 1,
        "classes": ["normal", "abnormal"],
    },
    "image_id": "image/filename",
    "patient_id": "patient/id",
    "splits": {"train": "train-*", "validation": "val-*", "test": "test-*"},
}
FILES = {
    "train-00000-of-00002": range(12),
    "train-00001-of-00002": range(12, 20),
    "val-00000-of-00001": range(20, 24),
    "test-00000-of-00001": range(24, 30),
}


def png(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (9, 7, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def feature(value: object) -> tf.train.Feature:
    values = value if isinstance(value, list) else [value]
    if isinstance(values[0], bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
    if isinstance(values[0], float):
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def record(number: int, **changed: object) -> bytes:
    """An Inception-style record: labels count from 1."""
    values = {
        "image/encoded": png(number),
        "image/format": b"png",
        "image/class/label": 1 + number % 2,
        "image/filename": f"image{number}.png".encode(),
        "patient/id": f"p{number // 2}".encode(),
    } | changed
    features = {k: feature(v) for k, v in values.items() if v is not None}
    example = tf.train.Example(features=tf.train.Features(feature=features))
    return example.SerializeToString()


def write(path: pathlib.Path, records: list[bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for content in records:
            writer.write(content)


def write_all(
    root: pathlib.Path, mapping: dict = MAP, **changed: object
) -> pathlib.Path:
    for name, numbers in FILES.items():
        write(root / name, [record(n, **changed) for n in numbers])
    (root / "key_map.json").write_text(json.dumps(mapping))
    return root


class TfrecordTest(tfds.testing.DatasetBuilderTestCase):
    """The checks of tfds itself, on records made on the fly."""

    DATASET_CLASS = tfrecord.Builder
    SPLITS = {"train": 20, "validation": 4, "test": 6}

    @classmethod
    def setUpClass(cls) -> None:
        cls.EXAMPLE_DIR = tempfile.mkdtemp()
        write_all(pathlib.Path(cls.EXAMPLE_DIR))
        super().setUpClass()

    @classmethod
    def tearDownClass(cls) -> None:
        shutil.rmtree(cls.EXAMPLE_DIR)
        super().tearDownClass()


def prepare(
    raw: pathlib.Path, data_dir: pathlib.Path, **options: object
) -> tfds.core.DatasetBuilder:
    return transfusion_datasets.prepare(
        "transfusion_tfrecord/mine_original",
        data_dir=data_dir,
        manual_dir=raw,
        **options,
    )


TASK = "tfds:transfusion_tfrecord/mine_original"


def test_every_record_is_read_with_its_label_patient_and_bytes(
    tmp_path: pathlib.Path,
) -> None:
    builder = prepare(write_all(tmp_path / "raw"), tmp_path / "data")
    found = {}
    decoders = {"image": tfds.decode.SkipDecoding()}
    for split in ("train", "validation", "test"):
        dataset = builder.as_dataset(split=split, decoders=decoders)
        for example in tfds.as_numpy(dataset):
            found[example["image_id"].decode()] = (
                split,
                example["patient_id"].decode(),
                int(example["label"]),
                example["image"],
            )
    splits = ["train"] * 20 + ["validation"] * 4 + ["test"] * 6
    assert found == {
        f"image{n}.png": (splits[n], f"p{n // 2}", n % 2, png(n))
        for n in range(30)
    }
    task = data.open_task(TASK, data_dir=str(tmp_path / "data"))
    assert (task.classes, task.kind) == (("normal", "abnormal"), "classes")


def test_labels_may_be_names_and_ids_may_be_missing(
    tmp_path: pathlib.Path,
) -> None:
    label = MAP["label"] | {"kind": "name", "key": "image/class/text"}
    mapping = MAP | {"label": label, "image_id": None, "patient_id": None}
    raw = write_all(tmp_path, mapping, **{"image/class/text": b"abnormal"})
    parts, _ = layout.read(raw)
    assert {i.values["label"] for p in parts.splits.values() for i in p} == {1}
    ids = [item.image_id for item in parts.splits["validation"]]
    assert ids == [f"val-00000-of-00001#{n}" for n in range(4)]
    patients = {i.patient_id for p in parts.splits.values() for i in p}
    assert len(patients) == 30


def test_vectors_are_findings_and_nan_is_unmentioned(
    tmp_path: pathlib.Path,
) -> None:
    names = ["Edema", "Fracture", "Nodule", "Mass"]
    label = {"key": "findings", "kind": "vector", "names": names}
    values = [1.0, 0.0, -1.0, float("nan")]
    raw = write_all(tmp_path / "raw", MAP | {"label": label}, findings=values)
    prepare(raw, tmp_path / "data")
    task = data.open_task(TASK, data_dir=str(tmp_path / "data"))
    assert (task.kind, task.classes) == ("findings", tuple(names))
    split = data.open_split(task, "test", data_dir=str(tmp_path / "data"))
    np.testing.assert_array_equal(split.labels, [[1, 0, -1, -2]] * 6)


def damage_flipped(content: bytes) -> bytes:
    place = len(content) // 2
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def length_of_first(content: bytes) -> int:
    return 16 + struct.unpack("<Q", content[:8])[0]


DAMAGES = {
    "truncated": lambda c: c[:-7],
    "flipped byte": damage_flipped,
    # TensorFlow takes this for the end of the file.
    "cut in a header": lambda c: c[: length_of_first(c) + 5],
    "no records": lambda c: b"image,label\n" * 40,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_named_with_the_record(
    tmp_path: pathlib.Path, damage: str
) -> None:
    raw = write_all(tmp_path / "raw")
    path = raw / "train-00001-of-00002"
    content = path.read_bytes()
    path.write_bytes(DAMAGES[damage](content))
    with pytest.raises(
        errors.CorruptRecordError, match=rf"record \d of '{path}'"
    ) as raised:
        prepare(raw, tmp_path / "data")
    if damage == "cut in a header":
        assert "record 1 of" in str(raised.value)
    (found,) = transfusion_datasets.check(
        "transfusion_tfrecord/mine_original", manual_dir=raw
    )
    assert str(found) == str(raised.value)


def test_an_empty_file_is_no_silent_loss(tmp_path: pathlib.Path) -> None:
    raw = write_all(tmp_path)
    (raw / "train-00001-of-00002").write_bytes(b"")
    with pytest.raises(
        errors.RecordCountError, match=r"0 records in .*train-00001.*1 or more"
    ):
        layout.read(raw)


def test_a_count_that_the_manifest_contradicts_is_an_error(
    tmp_path: pathlib.Path,
) -> None:
    raw = write_all(tmp_path)
    counts = {name: len(numbers) for name, numbers in FILES.items()}
    (raw / "manifest.json").write_text(json.dumps(counts))
    layout.read(raw)
    write(raw / "val-00000-of-00001", [record(20)])
    with pytest.raises(
        errors.RecordCountError, match="1 records in .*val-.*Expected 4, as man"
    ):
        layout.read(raw)


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"image/encoded": None}, errors.MappingError, "'image/encoded' is mi"),
        ({"image/encoded": b""}, errors.MappingError, "first empty"),
        ({"image/encoded": 3}, errors.MappingError, "is int64_list"),
        ({"image/class/label": 0}, errors.MappingError, r"label=\[0\].*1 to 2"),
        ({"image/class/label": 3}, errors.MappingError, r"label=\[3\].*1 to 2"),
        ({"image/class/label": 1.0}, errors.MappingError, "is float_list"),
        ({"image/class/label": [1, 2]}, errors.MappingError, r"\[1, 2\]"),
        ({"patient/id": None}, errors.MappingError, "'patient/id' is missing"),
    ],
)
def test_a_record_that_does_not_fit_the_map_is_named(
    tmp_path: pathlib.Path,
    changed: dict[str, object],
    error: type[Exception],
    message: str,
) -> None:
    raw = write_all(tmp_path)
    path = raw / "val-00000-of-00001"
    write(path, [record(20), record(21, **changed)])
    with pytest.raises(error, match=rf"(?s){message}") as raised:
        layout.read(raw)
    assert f"record 1 of '{path}'" in str(raised.value)
    with errors.collecting() as found:
        parts, _ = layout.read(raw)
    assert len(parts.splits["validation"]) == 1
    assert found[0].names == (f"{path}#1",)


def sixteen_bits() -> bytes:
    file = io.BytesIO()
    grey = np.full((9, 9), 40_000, np.uint16)
    Image.fromarray(grey).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (b"no image", "neither a JPEG nor a PNG"),
        (png(21)[:60], "cannot be decoded"),
        (sixteen_bits(), "16 bits a channel"),
    ],
)
def test_an_image_that_cannot_be_used_is_named_or_skipped(
    tmp_path: pathlib.Path, image: bytes, reason: str
) -> None:
    raw = write_all(tmp_path / "raw")
    bad = record(21, **{"image/encoded": image})
    write(raw / "val-00000-of-00001", [record(20), bad])
    with pytest.raises(
        errors.BadImageError, match=rf"{reason}.*image21\.png .*val-00000"
    ):
        prepare(raw, tmp_path / "data")
    builder = prepare(raw, tmp_path / "data", on_bad="skip", max_bad=1)
    assert builder.info.splits["validation"].num_examples == 1


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        (
            {"image/filename": b"image3.png"},
            errors.DuplicateError,
            "image_id='image3.png'",
        ),
        ({"patient/id": b"p1"}, errors.PatientLeakError, "patient_id='p1'"),
        ({"image/encoded": png(3)}, errors.DuplicateError, "in two splits"),
    ],
)
def test_ids_patients_and_images_stand_in_one_place(
    tmp_path: pathlib.Path,
    changed: dict[str, object],
    error: type[Exception],
    message: str,
) -> None:
    raw = write_all(tmp_path / "raw")
    write(raw / "val-00000-of-00001", [record(20), record(21, **changed)])
    with pytest.raises(error, match=message):
        prepare(raw, tmp_path / "data")


def test_without_a_map_the_keys_are_shown_and_a_map_proposed(
    tmp_path: pathlib.Path,
) -> None:
    raw = write_all(tmp_path)
    (raw / "key_map.json").unlink()
    with pytest.raises(errors.MappingError) as raised:
        layout.read(raw)
    message = str(raised.value)
    assert "image/class/label: int64_list, 1 values" in message
    proposed = json.loads(message[message.index("{") :])
    (raw / "key_map.json").write_text(json.dumps(proposed))
    key = key_map.read(raw)
    assert (key.image, key.label) == ("image/encoded", "image/class/label")


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({k: v for k, v in MAP.items() if k != "image"}, "KeyError: 'image'"),
        (MAP | {"imge": "x"}, "unknown entries imge"),
        (MAP | {"label": MAP["label"] | {"kind": "one"}}, "kind='one'"),
        (MAP | {"label": MAP["label"] | {"classes": ["a", "a"]}}, "each once"),
        (MAP | {"splits": {"dev": "dev-*"}}, "splits="),
        (MAP | {"splits": {"train": "no-*"}}, "'no-.*' in"),
    ],
)
def test_a_wrong_map_is_refused(
    tmp_path: pathlib.Path, mapping: dict, message: str
) -> None:
    raw = write_all(tmp_path, mapping)
    with pytest.raises(errors.DataError, match=message):
        layout.read(raw)

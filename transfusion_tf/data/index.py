"""The index of a prepared data set: who is in it, without reading a record.

Beside the shards stand `index_<split>.npz`, the ids and labels of all records
in their order, and `manifest.json`: the number of records, the bytes and the
SHA-256 of every shard, and a hash of the images of every split, which does not
depend on the order of the keys in a record, as the bytes of the files do:
another process writes the same record in another order. Making the index reads
every record once, so that what was written is known to be readable; opening a
data set reads the index alone, and compares the sizes of the shards with it.
"""

import dataclasses
import hashlib
import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from etils import epath

from transfusion_tf import records
from transfusion_tf.data import pipelines
from transfusion_tf.data import splits as splits_lib
from transfusion_tf.raw import errors

MANIFEST = "manifest.json"
_IDS = ("image_id", "patient_id")
_BATCH = 4096
_HASH_BYTES = 1 << 22
_RECORD_FRAME = 16  # Bytes around the data of a TFRecord: length and CRCs.
_UNLABELLED = np.array(-1)  # As tfds marks the records of a secret test set.
_LENGTH, _FINGERPRINT = "/length", "/fingerprint"  # No names of features.
_MOST_VALUES = 64  # A feature of more numbers than this is no label.


@dataclasses.dataclass(frozen=True)
class Shard:
    """A file of records.

    Attributes:
        name: Its name in the data set's directory.
        num_records: How many records it holds.
        num_bytes: Its size.
        sha256: Of its content, hexadecimal.
    """

    name: str
    num_records: int
    num_bytes: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class Index:
    """Who is in a split.

    Attributes:
        directory: The prepared data set.
        split: Name of the split.
        shards: Its files, in order.
        columns: Feature name to its values, `[num_records, ...]`, in the
            order of the records: the ids, and every number or short vector.
        image: Name of the feature that holds the image.
        label: Name of the label, if the data set has one.
        classes: Names of the label's classes, if it is of classes.
        label_names: Names of the label's places, if it is a vector.
        labelled_splits: The splits in which any record has a label.
        rule: How patients came to splits, in words.
        images_sha256: Hash of the split's encoded images, in their order; the
            same wherever the same raw files were prepared.
    """

    directory: epath.Path
    split: str | None
    shards: tuple[Shard, ...]
    columns: Mapping[str, np.ndarray]
    image: str
    label: str | None
    classes: tuple[str, ...] | None
    label_names: tuple[str, ...] | None
    labelled_splits: tuple[str, ...]
    rule: str
    images_sha256: str | None

    @property
    def paths(self) -> list[epath.Path]:
        """The files of the shards."""
        return [self.directory / shard.name for shard in self.shards]

    @property
    def num_records(self) -> int:
        """Number of records."""
        return sum(shard.num_records for shard in self.shards)


def write_index(info: tfds.core.DatasetInfo, directory: epath.PathLike) -> None:
    """Reads every record of a data set and writes its index.

    Args:
        info: What tfds knows of the data set; of the format `tfrecord`.
        directory: Where its shards are.

    Raises:
        errors.CorruptRecordError: If a file is damaged, naming the record.
        errors.RecordCountError: If a file holds another number of records
            than tfds noted.
        errors.DataError: If the data set is of another format or has not
            one image a record.
    """
    directory = epath.Path(directory)
    if info.file_format != tfds.core.FileFormat.TFRECORD:
        raise errors.DataError(
            "Only data sets in TFRecord files can be read. Received: "
            f"{info.full_name} in format {info.file_format.value!r}. Prepare "
            "it with file_format='tfrecord'."
        )
    image, label = _image_feature(info), _label_feature(info)
    splits, labelled_splits, images_sha256 = {}, [], {}
    for name, split in info.splits.items():
        names = [os.path.basename(path) for path in split.filenames]
        lengths = zip(sorted(names), split.shard_lengths, strict=True)
        read = [
            _read_shard(info, image, directory / file, int(count))
            for file, count in lengths
        ]
        # A shard of which every example was rejected has no columns.
        filled = [columns for _, columns, _ in read if columns]
        columns = {
            feature: np.concatenate([values[feature] for values in filled])
            for feature in (filled[0] if filled else ())
        }
        records.write_npz(_index_path(directory, name), **columns)
        splits[name] = [dataclasses.asdict(shard) for shard, _, _ in read]
        fingerprints = b"".join(prints for _, _, prints in read)
        images_sha256[name] = hashlib.sha256(fingerprints).hexdigest()
        if np.any(columns.get(label or "", _UNLABELLED) != _UNLABELLED):
            labelled_splits.append(name)
    metadata = dict(info.metadata or {})
    classes = label and getattr(info.features[label], "names", None)
    content = {
        "schema_version": records.SCHEMA_VERSION,
        "image": image,
        "label": label,
        "classes": classes or None,
        "label_names": metadata.get("label_names"),
        "rule": metadata.get("split_report", {}).get("rule", splits_lib.OWN),
        "splits": splits,
        "labelled_splits": labelled_splits,
        "images_sha256": images_sha256,
    }
    records.write_json(directory / MANIFEST, content)


def open_index(
    directory: epath.PathLike, split: str | None, *, command: str
) -> Index:
    """Opens the index of a split.

    Args:
        directory: The prepared data set.
        split: Name of the split; `None` for what all splits share.
        command: The command that makes an index, for errors.

    Returns:
        The index.

    Raises:
        FileNotFoundError: If there is no index.
        errors.RecordCountError: If a shard is missing or of another size
            than when the index was made.
    """
    directory = epath.Path(directory)
    if not (directory / MANIFEST).exists():
        raise FileNotFoundError(
            "The prepared data have no index: they were prepared by an older "
            f"version or by tfds itself. Received: {str(directory)!r} without "
            f"{MANIFEST}. Make it:\n{command}"
        )
    manifest = records.read_json(directory / MANIFEST)
    if split is not None and split not in manifest["splits"]:
        raise ValueError(
            f"The data set has no split {split!r}. Received: "
            f"{str(directory)!r} with {', '.join(manifest['splits'])}. Use "
            "one of these."
        )
    listed = [] if split is None else manifest["splits"][split]
    shards = tuple(Shard(**shard) for shard in listed)
    for shard in shards:
        _check_size(directory / shard.name, shard, command)
    classes, names = manifest["classes"], manifest["label_names"]
    return Index(
        directory=directory,
        split=split,
        shards=shards,
        columns={}
        if split is None
        else records.read_npz(_index_path(directory, split)),
        image=manifest["image"],
        label=manifest["label"],
        classes=None if classes is None else tuple(classes),
        label_names=None if names is None else tuple(names),
        labelled_splits=tuple(manifest["labelled_splits"]),
        rule=manifest["rule"],
        images_sha256=manifest["images_sha256"].get(split),
    )


def read_records(path: epath.PathLike) -> Iterator[bytes]:
    """Reads the records of a TFRecord file, or says where it is damaged.

    TensorFlow names no file, and takes a file that is cut within a record's
    header for one that ends there.

    Args:
        path: The file.

    Yields:
        The records.

    Raises:
        errors.CorruptRecordError: If a record is damaged or cut.
    """
    path = epath.Path(path)
    num_records = num_bytes = 0
    try:
        dataset = tf.data.TFRecordDataset(os.fspath(path))
        for record in dataset.as_numpy_iterator():
            yield record
            num_records += 1
            num_bytes += len(record) + _RECORD_FRAME
    except tf.errors.DataLossError as error:
        raise _corrupt(path, num_records, str(error.message)) from error
    if num_bytes != path.stat().length:
        raise _corrupt(path, num_records, "it is cut within its header")


def find_damage(paths: list[epath.Path]) -> errors.DataError | None:
    """Looks for the record that cannot be read.

    Args:
        paths: Files to look into.

    Returns:
        The error that names file and record, if one is found.
    """
    for path in paths:
        try:
            for _ in read_records(path):
                pass
        except errors.CorruptRecordError as error:
            return error
    return None


def _read_shard(
    info: tfds.core.DatasetInfo,
    image: str,
    path: epath.Path,
    num_records: int,
) -> tuple[Shard, dict[str, np.ndarray], bytes]:
    """Reads a file: what it is, its columns, and fingerprints of its images."""
    specs = _column_specs(info)
    parser = tfds.core.example_parser.ExampleParser(specs)
    image_spec = {image: tf.io.FixedLenFeature([], tf.string)}

    def parse(record: tf.Tensor) -> dict[str, tf.Tensor]:
        values = parser.parse_example(record) if specs else {}
        encoded = tf.io.parse_single_example(record, image_spec)[image]
        return values | {
            _LENGTH: tf.strings.length(record),
            _FINGERPRINT: tf.fingerprint([encoded])[0],
        }

    _check_exists(path)
    stored = tf.data.TFRecordDataset(os.fspath(path))
    dataset = pipelines.not_tuned(pipelines.mapped(stored, parse).batch(_BATCH))
    try:
        batches = list(dataset.as_numpy_iterator())
    except tf.errors.OpError as error:
        raise find_damage([path]) or _corrupt(
            path, 0, str(error.message)
        ) from error
    lengths = np.concatenate([np.zeros(0, int)] + [b[_LENGTH] for b in batches])
    size = path.stat().length
    if lengths.sum() + _RECORD_FRAME * len(lengths) != size:
        raise _corrupt(path, len(lengths), "it is cut within its header")
    if len(lengths) != num_records:
        raise errors.RecordCountError(
            "A file holds another number of records than was written. "
            f"Received: {len(lengths)} records in {str(path)!r}, noted were "
            f"{num_records}. Prepare the data set anew."
        )
    shard = Shard(path.name, num_records, size, _sha256(path))
    columns = {
        name: _compact(np.concatenate([batch[name] for batch in batches]))
        for name in specs
        if batches
    }
    prints = b"".join(batch[_FINGERPRINT].tobytes() for batch in batches)
    return shard, columns, prints


def _compact(values: np.ndarray) -> np.ndarray:
    """Byte strings instead of objects."""
    return values.astype(np.bytes_) if values.dtype == object else values


def _column_specs(info: tfds.core.DatasetInfo) -> dict[str, Any]:
    """The features that an index holds."""
    return {
        name: spec
        for name, spec in info.features.get_serialized_info().items()
        if isinstance(spec, tfds.features.TensorInfo)
        and len(spec.shape) <= 1
        and all((size or 1) <= _MOST_VALUES for size in spec.shape)
        and (name in _IDS or np.dtype(spec.np_dtype).kind in "iufb")
    }


def _image_feature(info: tfds.core.DatasetInfo) -> str:
    names = [
        name
        for name, feature in info.features.items()
        if isinstance(feature, tfds.features.Image)
    ]
    if len(names) != 1:
        raise errors.DataError(
            "A data set must have one image a record. Received: "
            f"{info.full_name} with image features {names}."
        )
    return names[0]


def _label_feature(info: tfds.core.DatasetInfo) -> str | None:
    told = dict(info.metadata or {}).get("label")
    if told is not None:
        return str(told)
    if info.supervised_keys is not None:
        return str(info.supervised_keys[1])
    names = [
        name
        for name, feature in info.features.items()
        if isinstance(feature, tfds.features.ClassLabel)
    ]
    return names[0] if len(names) == 1 else None


def _index_path(directory: epath.Path, split: str) -> epath.Path:
    return directory / f"index_{split}.npz"


def _check_exists(path: epath.Path) -> None:
    if not path.exists():
        raise errors.RecordCountError(
            f"A file of records is missing. Received: no {str(path)!r}. "
            "Prepare the data set anew."
        )


def _check_size(path: epath.Path, shard: Shard, command: str) -> None:
    _check_exists(path)
    size = path.stat().length
    if size != shard.num_bytes:
        raise errors.RecordCountError(
            "A file of records has changed since it was written. Received: "
            f"{size} bytes in {str(path)!r}, written were {shard.num_bytes}. "
            "Restore it, or delete the data set's directory and prepare it "
            f"anew:\n{command}"
        )


def _corrupt(
    path: epath.Path, record: int, reason: str
) -> errors.CorruptRecordError:
    return errors.CorruptRecordError(
        "A file of records is damaged. Received: record "
        f"{record} of {str(path)!r}: {reason}. Records before it are intact. "
        "Restore the file, or delete the data set's directory and prepare it "
        "anew (python -m launch.prepare_data).",
        names=(f"{path}#{record}",),
    )


def _sha256(path: epath.Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_HASH_BYTES):
            digest.update(block)
    return digest.hexdigest()

"""Reads foreign TFRecord files: labels, and where in them the images lie."""

import json
from collections.abc import Iterator

import tensorflow as tf
from etils import epath

from transfusion_datasets import plain_images
from transfusion_datasets.transfusion_tfrecord import key_map as key_map_lib
from transfusion_tf import data
from transfusion_tf.raw import errors, items

RULE = "The splits are those of the files, by the patterns of the key map."
MANIFEST = "manifest.json"
WHERE = (
    "A directory of TFRecord files of tf.train.Example, with "
    f"{key_map_lib.FILE} beside them that says what their keys hold (see the "
    "data set's README)."
)
_HEADER_BYTES, _FOOTER_BYTES = 12, 4  # Around the data of a record.


def check(manual_dir: epath.PathLike | None) -> epath.Path:
    """Raises unless a directory is given and is there.

    Args:
        manual_dir: The directory of the records.
    """
    if manual_dir is None or not epath.Path(manual_dir).is_dir():
        received = None if manual_dir is None else str(manual_dir)
        raise errors.ManualDirError(
            "Where are the records? Received: manual_dir="
            f"{received!r}, which is no directory. Use --manual_dir=DIR. "
            f"{WHERE}"
        )
    return epath.Path(manual_dir)


def read(
    manual_dir: epath.PathLike | None,
) -> tuple[items.Parts, key_map_lib.KeyMap]:
    """Reads every record once: its checksums, labels and ids.

    Args:
        manual_dir: The directory of the records.

    Returns:
        The items, whose images are stretches of the files, and the key map.

    Raises:
        errors.CorruptRecordError: If a file is damaged.
        errors.RecordCountError: If a file holds none, or another number than
            the manifest beside it says.
        errors.MappingError: If a record does not hold what the map says.
    """
    root = check(manual_dir)
    key_map = key_map_lib.read(root)
    expected = _expected_counts(root)
    splits = {}
    for split in key_map_lib.SPLITS:
        if split in key_map.splits:
            files = _files(root, key_map.splits[split])
            splits[split] = [
                item
                for path in files
                for item in _read_file(path, key_map, expected.get(path.name))
            ]
    return items.Parts(splits, RULE, salt=None), key_map


def _files(root: epath.Path, pattern: str) -> list[epath.Path]:
    found = sorted(path for path in root.glob(pattern) if path.is_file())
    if not found:
        raise errors.ManualDirError(
            f"No file fits a pattern of the key map. Received: {pattern!r} in "
            f"{str(root)!r}, which holds "
            f"{', '.join(sorted(p.name for p in root.iterdir())[:10])}. "
            f"Correct {key_map_lib.FILE}."
        )
    return found


def _expected_counts(root: epath.Path) -> dict[str, int]:
    """Reads file name to number of records, where somebody wrote it down."""
    path = root / MANIFEST
    if not path.exists():
        return {}
    try:
        return {str(k): int(v) for k, v in json.loads(path.read_text()).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise errors.MappingError(
            f"A manifest is wrong: {error}. Received: {str(path)!r}. Expected "
            'JSON such as {"train-00000-of-00002": 1024}, or no such file.'
        ) from error


def _read_file(
    path: epath.Path, key_map: key_map_lib.KeyMap, expected: int | None
) -> Iterator[items.Item]:
    position = count = 0
    try:
        for record in data.read_records(path):
            start = position + _HEADER_BYTES
            position = start + len(record) + _FOOTER_BYTES
            try:
                yield _item(path, count, start, record, key_map)
            except errors.DataError as error:
                error.names = (f"{path}#{count}",)
                errors.report(error)
            count += 1
    except errors.CorruptRecordError as error:
        errors.report(error)
        return
    if not count or (expected is not None and count != expected):
        wanted = "1 or more" if expected is None else str(expected)
        error = errors.RecordCountError(
            "A file holds another number of records than it should. "
            f"Received: {count} records in {str(path)!r}. Expected {wanted}"
            f"{'' if expected is None else f', as {MANIFEST} says'}. Restore "
            "the file."
        )
        errors.report(error, is_skippable=False)


def _item(
    path: epath.Path,
    number: int,
    start: int,
    record: bytes,
    key_map: key_map_lib.KeyMap,
) -> items.Item:
    where = f"record {number} of {str(path)!r}"
    try:
        example = tf.train.Example.FromString(record)
    except Exception as error:  # protobuf's own kind differs by version.
        raise errors.MappingError(
            f"A record is no tf.train.Example. Received: {where}: {error}."
        ) from error
    image = _one(example, key_map.image, where)
    offset = record.find(image)
    name = f"{path.name}#{number}"
    if key_map.image_id is not None:
        name = _one(example, key_map.image_id, where).decode("utf-8")
    patient = items.content_id(image)
    if key_map.patient_id is not None:
        patient = _text(example, key_map.patient_id, where)
    return items.Item(
        image_id=name,
        patient_id=patient,
        path=str(path),
        values={
            **key_map_lib.parse_label(key_map, example, where),
            plain_images.STRETCH: (start + offset, len(image)),
        },
    )


def _one(example: tf.train.Example, key: str, where: str) -> bytes:
    values = key_map_lib.values_of(example, key, ("bytes_list",), where)
    if len(values) != 1 or not values[0]:
        raise errors.MappingError(
            f"A record must hold one value. Received: {key!r} with "
            f"{len(values)} values in {where}, the first empty or missing. "
            "Write the record anew."
        )
    return bytes(values[0])


def _text(example: tf.train.Example, key: str, where: str) -> str:
    kinds = ("bytes_list", "int64_list")
    values = key_map_lib.values_of(example, key, kinds, where)
    if len(values) != 1:
        raise errors.MappingError(
            f"A record must hold one patient. Received: {key!r} with "
            f"{len(values)} values in {where}. Write the record anew."
        )
    value = values[0]
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)

"""Which keys of foreign records hold what, and how labels are written.

A file `key_map.json` beside the records, for example

    {"image": "image/encoded",
     "label": {"key": "image/class/label", "kind": "index", "offset": 1,
               "classes": ["normal", "abnormal"]},
     "image_id": "image/filename", "patient_id": "patient/id",
     "splits": {"train": "train-*", "test": "test-*"}}
"""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
from etils import epath

from transfusion_tf.raw import errors, label_states

FILE = "key_map.json"
KINDS = ("index", "name", "vector")
SPLITS = ("train", "validation", "test")
_KNOWN = {"image", "label", "image_id", "patient_id", "splits"}
_KNOWN_LABEL = {"key", "kind", "offset", "classes", "names"}
_STATES = tuple(label_states.STATES.values())
_IMAGE_STARTS = (b"\xff\xd8", b"\x89PNG")


@dataclasses.dataclass(frozen=True)
class KeyMap:
    """What the keys of a record mean.

    Attributes:
        image: Key of the encoded image.
        label: Key of the label.
        kind: "index" (a whole number), "name" (the class as text) or
            "vector" (a number for each finding).
        splits: Split name to the pattern of its files' names.
        offset: Of "index", the label of the first class: 1 in files such as
            those of ImageNet that count from 1.
        classes: Names of the classes, of "index" and "name".
        names: Names of the findings, of "vector".
        image_id: Key of the image's name; `None` names it by file and record.
        patient_id: Key of the patient; `None` takes equal images for one.
    """

    image: str
    label: str
    kind: str
    splits: Mapping[str, str]
    offset: int = 0
    classes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    image_id: str | None = None
    patient_id: str | None = None


def read(root: epath.Path) -> KeyMap:
    """Reads the key map of a directory.

    Args:
        root: The directory of the records.

    Raises:
        errors.MappingError: If the file is missing or says what it cannot;
            the message shows what a map looks like.
    """
    path = root / FILE
    if not path.exists():
        raise errors.MappingError(
            f"It is not known what the records hold. Received: no {FILE} in "
            f"{str(root)!r}. {_propose(root)}"
        )
    try:
        content = json.loads(path.read_text())
        label = content["label"]
        unknown = (set(content) - _KNOWN) | (set(label) - _KNOWN_LABEL)
        key_map = KeyMap(
            image=content["image"],
            label=label["key"],
            kind=label["kind"],
            splits=dict(content["splits"]),
            offset=int(label.get("offset", 0)),
            classes=tuple(label.get("classes", ())),
            names=tuple(label.get("names", ())),
            image_id=content.get("image_id"),
            patient_id=content.get("patient_id"),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _bad(path, f"{type(error).__name__}: {error}") from error
    if unknown:
        raise _bad(path, f"unknown entries {', '.join(sorted(unknown))}")
    if key_map.kind not in KINDS:
        raise _bad(path, f"kind={key_map.kind!r}; one of {', '.join(KINDS)}")
    listed = key_map.names if key_map.kind == "vector" else key_map.classes
    if len(set(listed)) < len(listed) or not listed:
        wanted = "names" if key_map.kind == "vector" else "classes"
        raise _bad(path, f"{wanted}={list(listed)}: name each once")
    if not key_map.splits or set(key_map.splits) - set(SPLITS):
        raise _bad(path, f"splits={dict(key_map.splits)}")
    return key_map


def _bad(path: epath.Path, reason: str) -> errors.MappingError:
    return errors.MappingError(
        f"A key map is wrong. Received: {reason} in {str(path)!r}. Expected, "
        f"for example:\n{_example('image/encoded', 'image/class/label')}"
    )


def _propose(root: epath.Path) -> str:
    """Looks at the first record and proposes a map that would fit."""
    for path in sorted(root.iterdir()):
        if path.is_file() and ".tfrecord" in path.name or "-of-" in path.name:
            return _propose_from(path)
    return (
        "There is no file named *.tfrecord* either: give the directory of the "
        "records with --manual_dir=DIR."
    )


def _propose_from(path: epath.Path) -> str:
    try:
        record = next(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
        example = tf.train.Example.FromString(record)
    except Exception as error:  # Whatever TensorFlow and protobuf raise.
        return f"{str(path)!r} holds no tf.train.Example: {error}"
    described, image, label = [], "image/encoded", "image/class/label"
    for key, feature in sorted(example.features.feature.items()):
        kind = feature.WhichOneof("kind")
        values = list(getattr(feature, kind).value) if kind else []
        described.append(f"  {key}: {kind}, {len(values)} values")
        if kind == "bytes_list" and values and _is_image(values[0]):
            image = key
        elif kind == "int64_list" and "label" in key:
            label = key
    return (
        f"The first record of {str(path)!r} holds:\n"
        + "\n".join(described)
        + f"\nWrite {FILE} beside the records, for example:\n"
        + _example(image, label)
    )


def _is_image(value: bytes) -> bool:
    return value.startswith(_IMAGE_STARTS)


def _example(image: str, label: str) -> str:
    return json.dumps(
        {
            "image": image,
            "label": {
                "key": label,
                "kind": "index",
                "offset": 0,
                "classes": ["normal", "abnormal"],
            },
            "image_id": None,
            "patient_id": None,
            "splits": {
                "train": "train*",
                "validation": "val*",
                "test": "test*",
            },
        },
        indent=2,
    )


def values_of(
    example: tf.train.Example, key: str, kinds: Sequence[str], where: str
) -> list[Any]:
    """Takes the values of a key.

    Args:
        example: The record.
        key: The key.
        kinds: Kinds of list that it may be: "bytes_list" and so on.
        where: File and record, for errors.

    Raises:
        errors.MappingError: If the key is missing or of another kind.
    """
    feature = example.features.feature.get(key)
    kind = feature.WhichOneof("kind") if feature is not None else None
    if feature is None or kind not in kinds:
        keys = ", ".join(sorted(example.features.feature))
        raise errors.MappingError(
            f"A record does not hold what the key map says. Received: "
            f"{key!r} is {'missing' if feature is None else kind} in {where}, "
            f"which has {keys}. Expected {' or '.join(kinds)}. Correct "
            f"{FILE}, or write the record anew."
        )
    return list(getattr(feature, str(kind)).value)


def parse_label(
    key_map: KeyMap, example: tf.train.Example, where: str
) -> dict[str, Any]:
    """Reads the label of a record.

    Args:
        key_map: What the keys mean.
        example: The record.
        where: File and record, for errors.

    Returns:
        `label`, a class index or -1, and `labels`, of findings 1, 0, -1
        (uncertain) or -2 (not mentioned; NaN in the record).

    Raises:
        errors.MappingError: If it is missing, of another kind, out of range
            or of another length.
    """
    if key_map.kind == "vector":
        kinds = ("int64_list", "float_list")
        values = values_of(example, key_map.label, kinds, where)
        return {"label": -1, "labels": _states(key_map, values, where)}
    kinds = ("int64_list",) if key_map.kind == "index" else ("bytes_list",)
    values = values_of(example, key_map.label, kinds, where)
    label = -1
    if len(values) == 1 and key_map.kind == "index":
        label = int(values[0]) - key_map.offset
    elif len(values) == 1:
        name = values[0].decode("utf-8", "replace")
        if name in key_map.classes:
            label = key_map.classes.index(name)
    if not 0 <= label < len(key_map.classes):
        raise _bad_label(key_map, values, where)
    return {"label": label, "labels": []}


def _states(key_map: KeyMap, values: list[float], where: str) -> list[int]:
    states = [label_states.UNMENTIONED if math.isnan(v) else v for v in values]
    if len(states) != len(key_map.names) or set(states) - set(_STATES):
        raise _bad_label(key_map, values, where)
    return [int(state) for state in states]


def _bad_label(
    key_map: KeyMap, values: list[Any], where: str
) -> errors.MappingError:
    expected = {
        "index": f"one of {key_map.offset} to "
        f"{key_map.offset + len(key_map.classes) - 1}",
        "name": f"one of {', '.join(key_map.classes)}",
        "vector": f"{len(key_map.names)} numbers, each 1, 0, -1, -2 or NaN",
    }[key_map.kind]
    return errors.MappingError(
        f"A label is out of range. Received: {key_map.label}={values[:20]} in "
        f"{where}. Expected {expected}. Correct {FILE}, or the record."
    )

"""What a tag of the Transfusion tab says of itself, and of its tensors.

TensorBoard keeps one `plugin_data.content` a tag, the first that was written:
it holds what is constant (which measure, which layers) as UTF-8 JSON. What
varies from step to step is in the tensor.
"""

from __future__ import annotations

import json
import math
import re
import reprlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

VERSION = 1
MAX_CONTENT_BYTES = 64 * 1024
MAX_POINT_BYTES = 256 * 1024
# Of a study: hundreds of runs, and each of their pairs as a point.
MAX_DOCUMENT_BYTES = 8 * 1024 * 1024
MAX_DEPTH = 16
PLANES = ("value", "null", "low", "high")


class SchemaError(ValueError):
    """Content or a tensor that is not of the schema."""


# Each says whether a value is allowed, and stands beside what it should be.
_Check = tuple[Callable[[Any], bool], str]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_words(value: Any) -> bool:
    return isinstance(value, str) and value.strip() != ""


def _is_fold(value: Any) -> bool:
    match = re.fullmatch(r"([1-9]\d{0,3})/([1-9]\d{0,3})", str(value))
    return match is not None and int(match[1]) <= int(match[2])


def _is_list_of_words(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_words, value))


def _is_layers(value: Any) -> bool:
    return (
        _is_list_of_words(value)
        and bool(value)
        and len(set(value)) == len(value)
    )


def _is_axis(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and _is_words(value.get("title"))
        and _is_layers(value.get("layers"))
    )


def _is_range(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(end is None or _is_number(end) for end in value)
        and (None in value or value[0] < value[1])
    )


def _is_measure(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and _is_words(value.get("id"))
        and _is_words(value.get("label"))
        and isinstance(value.get("larger_is_more_similar"), bool)
        and isinstance(value.get("is_symmetric"), bool)
        and _is_range(value.get("range"))
        and _is_list_of_words(value.get("invariances"))
    )


def _is_planes(value: Any) -> bool:
    return (
        isinstance(value, list)
        and value[:1] == ["value"]
        and all(plane in PLANES for plane in value)
        and len(set(value)) == len(value)
    )


def _or_null(check: _Check) -> _Check:
    return (lambda value: value is None or check[0](value)), f"{check[1]}/null"


_WORDS: _Check = (_is_words, "words")
_COUNT: _Check = (_is_count, "a whole number from 0")
_NUMBER: _Check = (_is_number, "a number")
_FOLD: _Check = (_is_fold, 'a fold such as "2/5"')
_LAYERS: _Check = (_is_layers, "a list of distinct names")
_AXIS: _Check = (_is_axis, 'an object of "title" and "layers"')
_PLANES: _Check = (_is_planes, f'"value", then others of {PLANES}')
_MEASURE: _Check = (
    _is_measure,
    'an object of "id", "label", "larger_is_more_similar", "is_symmetric", '
    '"range" and "invariances"',
)
_VERSIONS: _Check = (
    lambda value: (
        isinstance(value, dict)
        and all(_is_words(value.get(name)) for name in ("tensorflow", "keras"))
    ),
    'an object of "tensorflow" and "keras"',
)
_COMPARED: Mapping[str, _Check] = {
    "planes": _PLANES,
    "measure": _MEASURE,
    "comparison": _WORDS,
    "num_images": _COUNT,
    "what": _WORDS,
}
_FIELDS: Mapping[str, Mapping[str, _Check]] = {
    "run_info": {
        "model": _WORDS,
        "model_title": _WORDS,
        "init": _WORDS,
        "donor": _or_null(_WORDS),
        "task": _WORDS,
        "metric": _WORDS,
        "threshold": _or_null(_NUMBER),
        "seed": _COUNT,
        "fold": _or_null(_FOLD),
        "num_parameters": _COUNT,
        "num_training_examples": _COUNT,
        "num_steps": _COUNT,
        "versions": _VERSIONS,
    },
    "similarity": {**_COMPARED, "rows": _AXIS, "columns": _AXIS},
    "layer_profile": {**_COMPARED, "layers": _LAYERS},
    "filters": {"layer": _WORDS, "channels": _or_null(_WORDS)},
    "study": {},
}
KINDS = tuple(_FIELDS)


def encode(content: Mapping[str, Any]) -> bytes:
    """Returns content as it stands in an event file.

    Args:
        content: `kind`, one of `KINDS`, and the fields of that kind. The
            version is added.

    Returns:
        UTF-8 JSON with sorted keys, at most 64 KiB.

    Raises:
        SchemaError: If a field is missing or wrong, or there is too much.

    Example:
    >>> encode({"kind": "filters", "layer": "conv1", "channels": "rgb"})
    b'{"channels":"rgb","kind":"filters","layer":"conv1","version":1}'
    """
    try:
        encoded = json.dumps(
            {**content, "version": VERSION},
            sort_keys=True,
            allow_nan=False,
            separators=(",", ":"),
        ).encode()
    except (TypeError, ValueError) as error:
        raise SchemaError(
            f"Content is not JSON: {error}. Received: {_shown(content)}. Give "
            "words, finite numbers, lists and mappings of them."
        ) from error
    decode(encoded)
    return encoded


def decode(content: bytes) -> dict[str, Any]:
    """Returns what `encode` was given, with the version, once it is checked.

    Fields that are not of the schema are passed on: a later writer may add
    some within a version.

    Args:
        content: `plugin_data.content` of a tag.

    Raises:
        SchemaError: If it is not content of this schema and version.
    """
    if len(content) > MAX_CONTENT_BYTES:
        raise SchemaError(
            f"Content is too long. Received: {len(content)} bytes. At most "
            f"{MAX_CONTENT_BYTES} bytes are read."
        )
    decoded = load_json(content)
    version, kind = decoded.get("version"), decoded.get("kind")
    if version != VERSION or isinstance(version, bool):
        raise SchemaError(
            f"Unknown schema version. Received: {_shown(version)}. This "
            f"transfusion_tf reads version {VERSION}; a newer one may read it: "
            "pip install --upgrade transfusion_tf"
        )
    if not isinstance(kind, str) or kind not in _FIELDS:
        raise SchemaError(
            f"Unknown kind. Received: {_shown(kind)}. Version {VERSION} knows "
            f"{', '.join(KINDS)}."
        )
    for field, (is_allowed, expected) in _FIELDS[kind].items():
        if field not in decoded or not is_allowed(decoded[field]):
            received = (
                f"{field}={_shown(decoded[field])}"
                if field in decoded
                else f"no {field}"
            )
            raise SchemaError(
                f"Content of kind {kind} is not of the schema. Received: "
                f"{received}. It should be {expected}."
            )
    return decoded


def check_values(content: Mapping[str, Any], values: npt.NDArray[Any]) -> None:
    """Checks that a tensor is one of its tag.

    Args:
        content: What `decode` returned.
        values: Tensor of one step.

    Raises:
        SchemaError: If its size, dtype or shape is not what the content says.

    Example:
    >>> content = {"kind": "filters", "layer": "conv1", "channels": "rgb"}
    >>> check_values(content, np.zeros([2, 3, 3, 1], np.float32))
    Traceback (most recent call last):
    ...
    transfusion_tf.tensorboard.schema.SchemaError: Tensor of kind filters \
has a wrong shape. Received: [2, 3, 3, 1]. It should be [N, H, W, 3].
    """
    kind = content["kind"]
    num_bytes = values.nbytes
    if values.dtype == object and values.size == 1:
        num_bytes = len(values.item())
    # Before anything is made of it.
    most = MAX_DOCUMENT_BYTES if kind == "study" else MAX_POINT_BYTES
    if num_bytes > most:
        raise SchemaError(
            f"Tensor of kind {kind} is too large. Received: {num_bytes} bytes. "
            f"At most {most} bytes are read of a step."
        )
    if kind == "study":
        if values.dtype != object or values.size != 1:
            raise SchemaError(
                f"Tensor of kind {kind} is not a document. Received: "
                f"{values.dtype} {list(values.shape)}. It should be one string."
            )
        return
    if values.dtype != np.float32:
        raise SchemaError(
            f"Tensor of kind {kind} has a wrong dtype. Received: "
            f"{values.dtype}. It should be float32."
        )
    expected = _expected_shape(content)
    is_right = len(expected) == values.ndim and all(
        size == wanted if isinstance(wanted, int) else size > 0
        for size, wanted in zip(values.shape, expected, strict=True)
    )
    if not is_right:
        raise SchemaError(
            f"Tensor of kind {kind} has a wrong shape. Received: "
            f"{list(values.shape)}. It should be "
            f"[{', '.join(map(str, expected))}]."
        )


def _expected_shape(content: Mapping[str, Any]) -> list[int | str]:
    """Returns a tensor's shape; a letter is any size from 1."""
    match content["kind"]:
        case "similarity":
            return [
                len(content["planes"]),
                len(content["rows"]["layers"]),
                len(content["columns"]["layers"]),
            ]
        case "layer_profile":
            return [len(content["planes"]), len(content["layers"])]
        case "filters":
            is_rgb = content["channels"] == "rgb"
            return ["N", "H", "W", 3 if is_rgb else "C"]
        case _:
            return [0]


def load_json(text: bytes) -> dict[str, Any]:
    """Returns a JSON object that can be passed on as JSON.

    Args:
        text: UTF-8.

    Raises:
        SchemaError: If it is no JSON object, is nested too deeply, or holds
            a number that JSON has not (NaN, an infinity, or one that
            overflows to it).
    """
    try:
        decoded = json.loads(
            text.decode(), parse_float=_finite, parse_constant=_finite
        )
    except (ValueError, RecursionError) as error:
        raise SchemaError(
            f"This is not JSON: {error}. Received: {_shown(text)}. It should "
            "be a JSON object in UTF-8."
        ) from error
    if not isinstance(decoded, dict):
        raise SchemaError(
            f"This is not a JSON object. Received: {_shown(text)}."
        )
    if not _is_nested_within(decoded, MAX_DEPTH):
        raise SchemaError(
            f"JSON is nested too deeply. Received: {_shown(text)}. At most "
            f"{MAX_DEPTH} levels are read."
        )
    return decoded


def load_document(values: npt.NDArray[Any]) -> dict[str, Any]:
    """Returns a study's document.

    Args:
        values: Tensor of kind study, as `check_values` lets it pass.

    Raises:
        SchemaError: If it is not JSON, or of another version.
    """
    document = load_json(values.item())
    if document.get("schema_version") != VERSION:
        raise SchemaError(
            "The report is of an unknown schema version. Received: "
            f"{_shown(document.get('schema_version'))}. This transfusion_tf "
            f"reads version {VERSION}."
        )
    return document


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a finite number")
    return number


def _is_nested_within(value: Any, depth: int) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        return True
    return depth > 0 and all(_is_nested_within(x, depth - 1) for x in value)


# What is shown of a value, which may be of any length and depth.
_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 80
_shown = _REPR.repr

import json

import numpy as np
import pytest

from tests.tensorboard import fabricate
from transfusion_tf.tensorboard import points, schema

EYE = np.eye(4)
PROFILE = points.layer_profile(
    8,
    {"value": [0.5, np.nan], "low": [0.4, np.nan], "high": [0.6, np.nan]},
    measure=fabricate.MEASURE,
    comparison="before_after",
    layers=["a", "b"],
    num_images=8,
    what="Nothing.",
)
POINTS = {
    "run_info": fabricate.run_info(),
    "similarity": fabricate.similarity(0, EYE),
    "layer_profile": PROFILE,
    "filters": points.filters(0, np.ones([2, 5, 4, 3]), layer="conv1"),
    "study": points.study({"schema_version": 1}),
}


def content_of(kind, /, **changed):
    return json.dumps({**json.loads(POINTS[kind].content), **changed}).encode()


def test_there_is_a_point_of_every_kind():
    assert set(POINTS) == set(schema.KINDS)


@pytest.mark.parametrize("kind", schema.KINDS)
def test_what_was_encoded_is_decoded(kind):
    point = POINTS[kind]
    decoded = schema.decode(point.content)
    assert decoded["kind"] == kind
    assert decoded["version"] == 1
    assert schema.encode(decoded) == point.content
    schema.check_values(decoded, point.values)


def test_content_is_as_the_format_says():
    assert schema.decode(POINTS["layer_profile"].content) == {
        "version": 1,
        "kind": "layer_profile",
        "planes": ["value", "low", "high"],
        "measure": fabricate.MEASURE,
        "comparison": "before_after",
        "layers": ["a", "b"],
        "num_images": 8,
        "what": "Nothing.",
    }
    np.testing.assert_array_equal(
        POINTS["layer_profile"].values,
        np.array([[0.5, np.nan], [0.4, np.nan], [0.6, np.nan]], np.float32),
    )


def test_a_tag_says_kind_comparison_and_measure():
    assert [point.tag for point in POINTS.values()] == [
        "transfusion/run",
        "transfusion/similarity/before_after/cka",
        "transfusion/profile/before_after/cka",
        "transfusion/filters/conv1",
        "transfusion/study",
    ]


@pytest.mark.parametrize("kind", [k for k in schema.KINDS if k != "study"])
def test_every_field_must_be_there(kind):
    content = json.loads(POINTS[kind].content)
    for field in set(content) - {"version", "kind"}:
        less = {name: x for name, x in content.items() if name != field}
        with pytest.raises(schema.SchemaError, match=f"no {field}"):
            schema.encode(less)


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        ("run_info", "model", ""),
        ("run_info", "model", 7),
        ("run_info", "donor", 7),
        ("run_info", "seed", -1),
        ("run_info", "seed", True),
        ("run_info", "seed", 0.5),
        ("run_info", "threshold", "0.7"),
        ("run_info", "fold", "3/2"),
        ("run_info", "fold", "0/2"),
        ("run_info", "fold", 2),
        ("run_info", "versions", {"tensorflow": "2.21"}),
        ("similarity", "planes", ["null", "value"]),
        ("similarity", "planes", ["value", "value"]),
        ("similarity", "planes", ["value", "mean"]),
        ("similarity", "planes", ["value", ["null"]]),
        ("similarity", "rows", ["block1"]),
        ("similarity", "rows", {"title": "x", "layers": []}),
        ("similarity", "rows", {"title": "x", "layers": ["a", "a"]}),
        ("similarity", "measure", "cka"),
        ("similarity", "measure", {**fabricate.MEASURE, "range": [1, 0]}),
        ("similarity", "measure", {**fabricate.MEASURE, "range": [0]}),
        ("similarity", "measure", {**fabricate.MEASURE, "is_symmetric": 1}),
        ("similarity", "measure", {**fabricate.MEASURE, "invariances": "x"}),
        ("layer_profile", "layers", "block1"),
        ("filters", "layer", None),
    ],
)
def test_a_wrong_field_is_named(kind, field, value):
    with pytest.raises(schema.SchemaError, match=f"Received: {field}="):
        schema.decode(content_of(kind, **{field: value}))


def test_a_range_may_have_no_end():
    measure = {**fabricate.MEASURE, "range": [0, None]}
    schema.decode(content_of("similarity", measure=measure))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not JSON"),
        (b"[1]", "not a JSON object"),
        (b'"words"', "not a JSON object"),
        ('{"version": 1}'.encode("utf-16"), "not JSON"),
        (b'{"version": 1, "x": NaN}', "not JSON.*not a finite number"),
        (b'{"version": 1, "x": -Infinity}', "not JSON.*not a finite"),
        (b'{"version": 1, "x": 1e999}', "not JSON.*not a finite number"),
        (b'{"version": ' + b"9" * 5_000 + b"}", "not JSON"),
        (b'{"x": ' + b"[" * 30_000 + b"]" * 30_000 + b"}", "not JSON"),
        (b'{"x": ' + b"[" * 20 + b"]" * 20 + b"}", "too deeply"),
        (b'{"version": ' + b"[" * 12 + b"]" * 12 + b"}", "Unknown schema ver"),
        (content_of("study", version=2), "Unknown schema version.*: 2"),
        (content_of("study", version="1"), "Unknown schema version"),
        (content_of("study", version=True), "Unknown schema version"),
        (content_of("study", kind="heat map"), "Unknown kind"),
        (content_of("study", kind=["study"]), "Unknown kind"),
        (content_of("study", x="x" * 65_536), "too long"),
    ],
)
def test_what_is_not_of_the_schema_is_said(content, message):
    with pytest.raises(schema.SchemaError, match=message):
        schema.decode(content)


def test_a_message_is_short_whatever_was_received():
    with pytest.raises(schema.SchemaError) as caught:
        schema.decode(content_of("filters", layer=["x" * 1_000] * 40))
    assert len(str(caught.value)) < 600


def test_a_field_of_a_later_writer_is_passed_on():
    assert schema.decode(content_of("study", color="red"))["color"] == "red"


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        ("similarity", np.zeros([2, 4, 4]), "dtype.*float64.*float32"),
        ("similarity", np.zeros([4, 4], np.float32), r"\[4, 4\].*\[2, 4, 4\]"),
        ("similarity", np.zeros([2, 4, 5], np.float32), r"shape.*\[2, 4, 5\]"),
        ("similarity", np.zeros([0], np.float32), r"shape.*\[0\]"),
        ("layer_profile", np.zeros([2, 2], np.float32), r"\[3, 2\]"),
        ("filters", np.zeros([2, 5, 4, 4], np.float32), r"\[N, H, W, 3\]"),
        ("filters", np.zeros([0, 5, 4, 3], np.float32), r"\[N, H, W, 3\]"),
        ("filters", np.zeros([70_000], np.float32), "too large.*280000 bytes"),
        ("run_info", np.zeros([1], np.float32), r"\[0\]"),
        ("study", np.zeros([1], np.float32), "not a document"),
        ("study", np.array([b"{}", b"{}"], object), "not a document"),
        ("study", np.array([b" " * 9_000_000], object), "too large.*9000000"),
    ],
)
def test_a_tensor_of_another_kind_is_refused(kind, values, message):
    content = schema.decode(POINTS[kind].content)
    with pytest.raises(schema.SchemaError, match=message):
        schema.check_values(content, values)


def test_points_are_checked_when_they_are_made():
    with pytest.raises(schema.SchemaError, match="Planes should all have one"):
        points.layer_profile(
            0,
            {"value": [0.5, 0.6], "null": [0.1]},
            measure=fabricate.MEASURE,
            comparison="before_after",
            layers=["a", "b"],
            num_images=8,
            what="Nothing.",
        )
    with pytest.raises(schema.SchemaError, match="wrong shape"):
        fabricate.similarity(0, EYE, layers=["a"])
    with pytest.raises(schema.SchemaError, match="step is negative.*-1"):
        fabricate.similarity(-1, EYE)
    with pytest.raises(schema.SchemaError, match="not JSON"):
        points.study({"mean": float("nan")})
    with pytest.raises(schema.SchemaError, match="not JSON"):
        fabricate.run_info(threshold=float("inf"))


def test_the_document_of_hundreds_of_runs_is_read():
    document = np.array([b" " * 1_000_000], object)
    schema.check_values({"kind": "study"}, document)

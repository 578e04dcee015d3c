import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tensorboard import fabricate
from transfusion_tf.tensorboard import answers, points, problems, reader
from transfusion_tf.tensorboard.points import Point

SAMPLING = {"limit": 1000, "set_by": "plugin"}
AUC = "validation/auc"
CKA = "transfusion/similarity/before_after/cka"


def reader_of(points=(), scalars=()):
    return reader.PointReader(dict(points), dict(scalars))


def run_of(seed=0, auc=(), **info):
    """Points and scalars of a run, AUC by step."""
    return [fabricate.run_info(seed=seed, **info)], {AUC: dict(auc)}


def reader_of_runs(**runs):
    return reader_of(
        {name: run[0] for name, run in runs.items()},
        {name: run[1] for name, run in runs.items()},
    )


def messages(answer):
    return [(x["run"], x["tag"], x["message"]) for x in answer["problems"]]


# Denormal numbers, and those that rounding up makes infinite, are apart.
NORMAL = st.floats(1e-290, 1e300) | st.floats(-1e300, -1e-290)


@given(st.lists(NORMAL | st.floats(-2, 2, width=32), max_size=5))
def test_numbers_have_five_significant_digits(values):
    numbers = reader.json_numbers(values)
    for number, value in zip(numbers, values, strict=True):
        # Printing rounds the decimal, we its nearest neighbor in binary: of
        # a half, the two may go to either side.
        sixth = abs(value) * 1e-5
        assert number == pytest.approx(float(f"{value:.5g}"), abs=1e-300) or (
            abs(number - value) <= 5.01 * sixth
        )
        assert float(f"{number:.5g}") == pytest.approx(number, rel=1e-12)


@given(st.lists(st.floats(), max_size=5))
def test_numbers_are_json_whatever_they_are(values):
    numbers = reader.json_numbers(values)
    assert json.loads(json.dumps(numbers, allow_nan=False)) == numbers
    for number, value in zip(numbers, values, strict=True):
        if abs(value) < 1e300:
            assert number is not None
        elif not math.isfinite(value):
            assert number is None


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        (0.123456, "0.12346"),
        (np.float32(0.1), "0.1"),
        (-1234567.0, "-1234600.0"),
        (2.5e-7, "2.5e-07"),
        (0.0, "0.0"),
        (float("nan"), "null"),
        (float("-inf"), "null"),
        (1e-310, "0.0"),
    ],
)
def test_numbers_print_short(value, printed):
    assert json.dumps(reader.json_numbers(value)) == printed


def test_the_index_of_a_study():
    runs = {
        f"demo/runs/{init}{seed}": run_of(seed, [(0, 0.5)], init=init)
        for init in ("random", "transfer")
        for seed in (0, 1)
    }
    for run, _ in runs.values():
        run.append(fabricate.similarity(0, np.eye(4)))
        run.append(fabricate.similarity(44, np.eye(4)))
    source = reader_of_runs(**runs)
    source._points["demo/report"] = [points.study({"schema_version": 1})]
    answer = answers.index(source, SAMPLING)
    assert (answer["version"], answer["sampling"]) == (1, SAMPLING)
    assert [content["kind"] for content in answer["contents"]] == [
        "study",
        "similarity",
    ]
    run = answer["runs"]["demo/runs/random1"]
    assert run == {
        "study": "demo",
        "info": json.loads(runs["demo/runs/random1"][0][0].content),
        "group": "demo|cbr_tiny|random|synthetic_fundus",
        "scalars": [AUC],
        "tags": {CKA: {"content": 1, "max_step": 44}},
    }
    assert answer["groups"]["demo|cbr_tiny|transfer|synthetic_fundus"] == {
        "study": "demo",
        "label": "CBR-Tiny, transfer",
        "model": "cbr_tiny",
        "model_title": "CBR-Tiny",
        "init": "transfer",
        "donor": None,
        "task": "synthetic_fundus",
        "metric": "auc",
        "threshold": 0.7,
        "num_parameters": 68_000,
        "num_seeds": 2,
        "runs": ["demo/runs/transfer0", "demo/runs/transfer1"],
    }
    assert answer["studies"] == [
        {
            "study": "demo",
            "name": "demo",
            "num_runs": 4,
            "document": {
                "run": "demo/report",
                "tag": "transfusion/study",
                "max_step": 0,
            },
        }
    ]
    assert answer["problems"] == []


def test_runs_of_a_group_that_differ_are_said():
    source = reader_of_runs(
        a=run_of(0, threshold=0.7), b=run_of(1, threshold=0.8)
    )
    answer = answers.index(source, SAMPLING)
    (group,) = answer["groups"].values()
    assert group["threshold"] == 0.7
    ((run, _, message),) = messages(answer)
    assert run == "b" and "differ in threshold. Received: 0.8" in message


def test_a_second_report_of_a_study_is_said():
    report = [points.study({"schema_version": 1})]
    answer = answers.index(
        reader_of({"x/report": report, "x/report2": report}), SAMPLING
    )
    assert answer["studies"][0]["document"]["run"] == "x/report"
    ((run, _, message),) = messages(answer)
    assert run == "x/report2" and "'x/report'" in message


def test_problems_beyond_a_number_are_counted():
    bad = {
        f"run{i:03}": [Point("transfusion/x", b"", 0, np.zeros(0))]
        for i in range(problems.MAX_PROBLEMS + 3)
    }
    listed = messages(answers.index(reader_of(bad), SAMPLING))
    assert len(listed) == problems.MAX_PROBLEMS + 1
    assert listed[-1] == ("", "", "There are 3 more problems.")


STEPS = reader_of(
    {
        "a": [fabricate.similarity(s, np.full([4, 4], s)) for s in (0, 5, 9)],
        "b": [fabricate.similarity(s, np.full([4, 4], s)) for s in (0, 5)],
        "c": [],
    }
)


@pytest.mark.parametrize(
    ("step", "steps"),
    [
        ("all", {"a": [0, 5, 9], "b": [0, 5]}),
        ("first", {"a": [0], "b": [0]}),
        ("last", {"a": [9], "b": [5]}),
        (9, {"a": [9]}),
    ],
)
def test_steps_are_chosen(step, steps):
    answer = answers.tensors(STEPS, CKA, ["a", "b"], step)
    runs = answer["runs"]
    assert {run: of_run["steps"] for run, of_run in runs.items()} == steps
    for of_run in runs.values():
        assert of_run["shape"] == [2, 4, 4]
        assert [v[0][3][3] for v in of_run["values"]] == of_run["steps"]
    if step == 9:
        ((run, tag, message),) = messages(answer)
        assert (run, tag) == ("b", CKA)
        assert "step=9. It has 2 from 0 to 5" in message


def test_a_run_without_the_tag_is_said():
    answer = answers.tensors(STEPS, CKA, ["c", "a", "no such run"], "last")
    assert list(answer["runs"]) == ["a"]
    assert [run for run, *_ in messages(answer)] == ["c", "no such run"]


def test_of_a_step_written_twice_the_newest_is_shown():
    data = [
        reader.Datum(5, 2.0, "new"),
        reader.Datum(0, 0.0, "start"),
        reader.Datum(5, 1.0, "old"),
        reader.Datum(9, math.nan, "first"),
        reader.Datum(9, math.nan, "second"),
    ]
    newest = reader.newest_by_step(data)
    assert [x.values for x in newest] == ["start", "new", "second"]


def test_an_answer_that_is_too_long_is_refused(monkeypatch):
    monkeypatch.setattr(answers, "MAX_NUMBERS", 2 * 32)
    answer = answers.tensors(STEPS, CKA, ["a", "b"], "all")
    assert list(answer["runs"]) == ["b"]
    ((run, _, message),) = messages(answer)
    assert run == "a" and "3 steps of 2 runs" in message


def test_tensors_of_one_tag_that_differ_in_shape_are_said():
    source = reader_of(
        {
            "a": [
                points.filters(0, np.ones([2, 3, 3, 3]), layer="x"),
                points.filters(5, np.ones([4, 3, 3, 3]), layer="x"),
            ]
        }
    )
    answer = answers.tensors(source, "transfusion/filters/x", ["a"], "all")
    assert answer["runs"]["a"]["steps"] == [0]
    assert "Step 5: Tensors of one tag differ" in messages(answer)[0][2]


def test_runs_whose_tag_holds_different_things_are_said():
    scores = fabricate.similarity(0, np.eye(4))
    filters = points.filters(0, np.ones([2, 3, 3, 3]), layer="x")
    renamed = Point(scores.tag, filters.content, 0, filters.values)
    source = reader_of({"a": [scores], "b": [renamed]})
    answer = answers.tensors(source, scores.tag, ["a", "b"], "all")
    assert answer["kind"] == "similarity" and list(answer["runs"]) == ["a"]
    assert "filters beside similarity" in messages(answer)[0][2]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"schema_version": 2}, "unknown schema version. Received: 2"),
        ({"name": "demo"}, "unknown schema version. Received: None"),
    ],
)
def test_a_report_of_another_version_is_said(document, message):
    answer = answers.tensors(
        reader_of({"r": [points.study(document)]}),
        points.STUDY_TAG,
        ["r"],
        "last",
    )
    assert answer["runs"] == {}
    assert message in messages(answer)[0][2]


def test_curves_of_seeds_and_their_mean():
    source = reader_of_runs(
        **{
            f"seed{seed}": run_of(seed, [(0, 0.5), (44, 0.6 + 0.1 * seed)])
            for seed in range(3)
        },
        other=([], {AUC: {0: 0.1}}),
    )
    runs = ["seed0", "seed1", "seed2", "other"]
    answer = answers.curves(source, AUC, runs)
    assert list(answer["runs"]) == runs
    assert answer["runs"]["other"] == {"steps": [0], "values": [0.1]}
    (group,) = answer["groups"].values()
    # Student's t of 2 degrees of freedom, 4.3027, by 0.1 / sqrt(3).
    assert group == {
        "steps": [0, 44],
        "mean": [0.5, 0.7],
        "low": [0.5, 0.45159],
        "high": [0.5, 0.94841],
        "num_seeds": 3,
        "seeds": {
            "0": {"steps": [0, 44], "values": [0.5, 0.6]},
            "1": {"steps": [0, 44], "values": [0.5, 0.7]},
            "2": {"steps": [0, 44], "values": [0.5, 0.8]},
        },
    }
    fewer = answers.curves(source, AUC, ["seed0", "seed2"])
    (group,) = fewer["groups"].values()
    assert group["mean"] is None and list(group["seeds"]) == ["0", "2"]


def test_folds_of_a_seed_are_one_curve():
    source = reader_of_runs(
        a=run_of(0, [(0, 0.5), (40, 0.7)], fold="1/2"),
        b=run_of(0, [(0, 0.6), (43, 0.9)], fold="2/2"),
    )
    (group,) = answers.curves(source, AUC, ["a", "b"])["groups"].values()
    assert group["num_seeds"] == 1
    assert group["seeds"] == {"0": {"steps": [0, 42], "values": [0.55, 0.8]}}


def test_seeds_that_share_no_step_are_said():
    source = reader_of_runs(
        **{f"s{i}": run_of(i, [(i, 0.5)]) for i in range(3)}
    )
    answer = answers.curves(source, AUC, ["s0", "s1", "s2"])
    (group,) = answer["groups"].values()
    assert group["mean"] == []
    assert "3 seeds of this run's group share no step" in messages(answer)[0][2]


def test_a_scalar_that_is_no_number_is_said():
    source = reader_of({}, {"a": {AUC: {0: b"words"}}})
    answer = answers.curves(source, AUC, ["a"])
    assert answer["runs"] == {}
    assert messages(answer) == [("a", AUC, "Its values are no numbers.")]

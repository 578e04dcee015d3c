import gzip
import json

import numpy as np
import pytest
import werkzeug.test

from tests.tensorboard import fabricate, serving
from transfusion_tf.tensorboard import answers, plugin, points, reader

CKA = "transfusion/similarity/before_after/cka"
HOSTILE = "transfusion/similarity/hostile/"
SEEDS = [f"demo/runs/cbr_tiny-random-seed{seed}" for seed in range(3)]


@pytest.fixture(scope="module")
def logdir(tmp_path_factory):
    path = tmp_path_factory.mktemp("logdir")
    fabricate.write_logdir(path)
    return path


@pytest.fixture(scope="module", params=serving.LOADERS)
def source(request, logdir):
    with serving.provider(logdir, request.param) as provider:
        yield provider


@pytest.fixture(scope="module")
def client(source):
    return serving.client(source)


def get(client, route, status=200, **query):
    response = client.get(f"{serving.PREFIX}{route}", query_string=query)
    assert response.status_code == status, response.text
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    return response.json if status == 200 else response.text


def test_tensorboard_shows_the_tab(client):
    listing = client.get("/data/plugins_listing").json
    assert listing["transfusion"]["enabled"]
    assert listing["transfusion"]["tab_name"] == "Transfusion"
    module = listing["transfusion"]["loading_mechanism"]["module_path"]
    response = client.get(module)
    assert response.status_code == 200
    assert response.mimetype == "text/javascript"


def test_the_whole_front_end_is_served_and_nothing_else(client):
    frontend = plugin.importlib.resources.files(plugin.__package__)
    frontend = frontend / "frontend"
    for path in frontend.rglob("*"):
        name = str(path.relative_to(frontend))
        response = client.get(f"{serving.PREFIX}/static/{name}")
        if path.is_dir():
            assert response.status_code == 404
            continue
        assert response.data == path.read_bytes()
        assert (
            response.mimetype
            == {
                ".js": "text/javascript",
                ".css": "text/css",
            }[path.suffix]
        )
        assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "static",
        "static/",
        "static//index.js",
        "static/index.js/",
        "static/./index.js",
        "static/../plugin.py",
        "static/..%2fplugin.py",
        "static/%2e%2e/plugin.py",
        "static/%2e%2e%2fplugin.py",
        "static/..\\plugin.py",
        "static//etc/passwd",
        "static/%2fetc%2fpasswd",
        "static/file:///etc/passwd",
        "static/index.js%00",
        "static/INDEX.JS",
        "static/views",
        "static/__init__.py",
        "plugin.py",
        "api/v1",
        "api/v2/index",
    ],
)
def test_there_is_no_other_file(client, path):
    response = client.get(f"{serving.PREFIX}/{path}")
    assert response.status_code == 404
    assert response.mimetype == "text/plain"


@pytest.mark.parametrize("route", ["/static/index.js", "/api/v1/index"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "X"])
def test_only_get_and_head(client, route, method):
    response = client.open(serving.PREFIX + route, method=method)
    assert response.status_code == 405
    assert response.headers["Allow"] == "GET, HEAD"
    assert "Access-Control-Allow-Origin" not in response.headers


def test_head_is_get_without_the_content(client):
    path = f"{serving.PREFIX}/api/v1/index"
    got, head = client.get(path), client.head(path)
    assert head.data == b"" and got.data
    assert head.headers["Content-Length"] == str(len(got.data))


def test_answers_are_compressed_where_that_is_accepted(client):
    path = f"{serving.PREFIX}/api/v1/index"
    response = client.get(path, headers={"Accept-Encoding": "gzip"})
    assert response.headers["Content-Encoding"] == "gzip"
    assert json.loads(gzip.decompress(response.data)) == client.get(path).json


@pytest.mark.parametrize(
    ("route", "query", "received", "right"),
    [
        ("index", {"run": "a"}, "'run'", "takes none"),
        ("tensors", {"run": "a"}, "0 of tag", "Give 1 to 1"),
        ("tensors", {"tag": "a"}, "0 of run", "Give 1 to 200"),
        ("tensors", {"tag": ["a", "b"], "run": "a"}, "2 of tag", "1 to 1"),
        ("tensors", {"tag": "a", "run": ["a"] * 201}, "201 of run", "to 200"),
        ("tensors", {"tag": "a", "run": "a", "Step": 1}, "'Step'", "tag, run"),
        ("tensors", {"tag": "a", "run": ""}, "run of 0", "1 to 1024"),
        (
            "tensors",
            {"tag": "a" * 1025, "run": "a"},
            "tag of 1025",
            "1 to 1024",
        ),
        *(
            ("tensors", {"tag": "a", "run": "a", "step": step}, "step=", "all")
            for step in ("-1", "1.0", "1e3", "01", " 1", "1\n", "٣", "9" * 19)
        ),
        ("curves", {"tag": "a", "run": "a", "step": "1"}, "'step'", "tag, run"),
        ("curves", {"tag": "a"}, "0 of run", "Give 1 to 200"),
    ],
)
def test_parameters_are_strict(client, route, query, received, right):
    text = get(client, f"/api/v1/{route}", status=400, **query)
    assert "Received: " in text and received in text and right in text


def test_a_query_that_is_not_utf_8_is_said(client):
    environ = werkzeug.test.create_environ(f"{serving.PREFIX}/api/v1/curves")
    environ["QUERY_STRING"] = "tag=\xed\xa0"
    app = client.application
    chunks, status, _ = werkzeug.test.run_wsgi_app(app, environ)
    assert status == "400 BAD REQUEST"
    assert b"not UTF-8. Received: b'tag=\\xed\\xa0'" in b"".join(chunks)


def test_the_index_of_the_log_directory(client):
    index = get(client, "/api/v1/index")
    assert index["sampling"] == {"limit": 1000, "set_by": "plugin"}
    groups = index["groups"].values()
    demo = [group for group in groups if group["study"] == "demo"]
    assert [(g["label"], g["num_seeds"]) for g in demo] == [
        ("CBR-Small, random", 3),
        ("CBR-Small, transfer", 3),
        ("CBR-Tiny, random", 3),
        ("CBR-Tiny, transfer", 3),
    ]
    (study,) = [s for s in index["studies"] if s["study"] == "demo"]
    assert study["num_runs"] == 12
    assert study["document"]["run"] == "demo/report"
    (pair,) = [run for run in index["runs"] if "--" in run]
    assert index["runs"][pair]["study"] == "demo"
    run = index["runs"][SEEDS[0]]
    assert run["scalars"] == ["train/loss", "validation/auc"]
    kinds = {
        tag: index["contents"][of_tag["content"]]["kind"]
        for tag, of_tag in run["tags"].items()
    }
    assert kinds == {
        CKA: "similarity",
        "transfusion/profile/before_after/cka": "layer_profile",
        "transfusion/filters/block1": "filters",
    }
    assert {of_tag["max_step"] for of_tag in run["tags"].values()} == {220}


def test_what_cannot_be_shown_is_a_problem_of_the_index(client):
    index = get(client, "/api/v1/index")
    assert {problem["run"] for problem in index["problems"]} == {
        fabricate.HOSTILE_RUN
    }
    said = {x["tag"].split("/")[1]: x["message"] for x in index["problems"]}
    assert set(said) == {
        *("newer", "unknown", "broken", "binary", "empty", "deep"),
        *("overflow", "long"),
    }
    assert "Received: 99" in said["newer"]
    hostile = index["runs"][fabricate.HOSTILE_RUN]
    assert fabricate.HOSTILE_TAG in hostile["tags"]
    assert hostile["info"]["model"] == "<b>model</b>"


def test_hostile_names_are_only_names(client):
    answer = get(
        client,
        "/api/v1/tensors",
        tag=fabricate.HOSTILE_TAG,
        run=fabricate.HOSTILE_RUN,
    )
    values = answer["runs"][fabricate.HOSTILE_RUN]["values"]
    np.testing.assert_array_equal(np.array(values)[0, 0], np.eye(4))


def test_nan_and_infinities_are_null(client):
    run = fabricate.HOSTILE_RUN
    answer = get(client, "/api/v1/tensors", tag=CKA, run=run)
    assert answer["runs"][run]["values"][0][0][0] == [None, None, None, 1.2346]
    answer = get(client, "/api/v1/curves", tag="validation/auc", run=run)
    assert answer["runs"][run] == {"steps": [0, 44], "values": [None, 0.6]}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("bfloat16", "TensorBoard cannot read it. Received: "),
        ("float64", "wrong dtype"),
        ("flat", "wrong shape"),
        ("transposed", "wrong shape"),
        ("words", "wrong dtype"),
        ("huge", "too large"),
    ],
)
def test_a_tensor_that_cannot_be_shown_fails_alone(client, name, message):
    tag, run = HOSTILE + name, fabricate.HOSTILE_RUN
    answer = get(client, "/api/v1/tensors", tag=tag, run=run)
    assert answer["runs"] == {}
    (problem,) = answer["problems"]
    assert (problem["run"], problem["tag"]) == (run, tag)
    assert message in problem["message"]


def test_a_report_that_is_cut_off_fails_alone(client):
    answer = get(
        client,
        "/api/v1/tensors",
        tag=points.STUDY_TAG,
        run=["demo/report", fabricate.HOSTILE_RUN],
    )
    (document,) = answer["runs"]["demo/report"]["values"]
    assert document["name"] == "demo" and len(document["arms"]) == 4
    assert "not JSON" in answer["problems"][0]["message"]


def test_steps_out_of_order_and_again_are_sorted_and_the_newest(client):
    answer = get(client, "/api/v1/tensors", tag=CKA, run="disordered")
    of_run = answer["runs"]["disordered"]
    shown = {
        step: value[0][0][0]
        for step, value in zip(of_run["steps"], of_run["values"], strict=True)
    }
    assert list(shown) == sorted(shown)
    # The data server drops steps above one that is written again.
    assert {44: 44.1, 220: 220.1} == {s: x for s, x in shown.items() if s != 88}


def test_of_two_writers_the_later_counts_and_the_first_says_what_it_is(client):
    run = "two writers"
    of_run = get(client, "/api/v1/tensors", tag=CKA, run=run)["runs"][run]
    assert of_run["steps"] == [0, 44, 88]
    assert [v[0][0][0] for v in of_run["values"]] == [0, 44.1, 88.1]
    index = get(client, "/api/v1/index")
    content = index["contents"][index["runs"][run]["tags"][CKA]["content"]]
    assert content["num_images"] == 256


def test_of_a_damaged_file_what_is_before_the_damage_is_shown(client):
    answer = get(client, "/api/v1/tensors", tag=CKA, run="damaged")
    steps = answer["runs"]["damaged"]["steps"]
    assert steps == list(range(len(steps))) and 3 <= len(steps) < 10


def test_memory_and_log_directory_give_the_same_answers(source, client):
    # A run, read back, put in memory, and asked for again.
    listed = get(client, "/api/v1/index")["runs"][SEEDS[0]]
    provider = reader.ProviderReader(source, serving.ENVIRON)
    series = provider.tensor_series(runs=[SEEDS[0]])[SEEDS[0]]
    memory = reader.PointReader(
        {
            SEEDS[0]: [
                points.Point(tag, of_tag.content, datum.step, datum.values)
                for tag, of_tag in series.items()
                for datum in provider.read_tensors(SEEDS[0], tag)
            ]
        },
        {
            SEEDS[0]: {
                tag: {
                    x.step: x.values
                    for x in provider.read_scalars(SEEDS[0], tag)
                }
                for tag in listed["scalars"]
            }
        },
    )
    index = answers.index(memory, {})["runs"][SEEDS[0]]
    for tag in listed["tags"]:
        listed["tags"][tag].pop("content"), index["tags"][tag].pop("content")
        ours = answers.tensors(memory, tag, [SEEDS[0]], "all")
        theirs = get(client, "/api/v1/tensors", tag=tag, run=SEEDS[0])
        for answer in (ours, theirs):
            answer["runs"][SEEDS[0]].pop("wall_times")
        assert ours == theirs
    assert index == listed
    theirs = get(client, "/api/v1/curves", tag="validation/auc", run=SEEDS[0])
    assert answers.curves(memory, "validation/auc", [SEEDS[0]]) == theirs


def test_a_data_loader_that_does_not_answer_is_said(monkeypatch, source):
    client = serving.client(source)
    for name in ("list_tensors", "read_tensors"):

        def fail(*unused, **also_unused):
            raise ConnectionError("gone")

        monkeypatch.setattr(source, name, fail)
    text = get(client, "/api/v1/index", status=503)
    assert "does not answer" in text and "ConnectionError: gone" in text


def test_a_plugin_without_its_front_end_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(plugin.importlib.resources, "files", lambda _: tmp_path)
    with pytest.raises(FileNotFoundError, match="no index.js"):
        serving.client(object())

import base64
import hashlib
import html.parser
import json
import re
import shutil
import subprocess

import pytest

from tests.reporting import fabricate
from transfusion_tf import reporting
from transfusion_tf.reporting import page as page_module

HOSTILE = '</script><img src=x onerror="alert(1)"> & <!-- \u2028 é'


class Page(html.parser.HTMLParser):
    """Elements with their attributes and, of scripts and styles, texts."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self.is_open = [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self.texts.append("")
        self.is_open = True

    def handle_endtag(self, tag):
        self.is_open = False

    def handle_data(self, data):
        if self.is_open:
            self.texts[-1] += data

    def text(self, tag, **attributes):
        [found] = [
            text
            for (name, given), text in zip(
                self.elements, self.texts, strict=True
            )
            if name == tag and attributes.items() <= given.items()
        ]
        return found


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    study_dir = fabricate.write_study(tmp_path_factory.mktemp("s") / "demo")
    path = study_dir / "study.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "name": HOSTILE}))
    report = reporting.write_report(study_dir, study_dir / "report")
    page = study_dir / "report.html"
    reporting.write_page(study_dir, report.document, page)
    return study_dir, report, page.read_text()


@pytest.fixture(scope="module")
def page(written):
    return Page(written[2])


def modules_of(page):
    imports = json.loads(page.text("script", type="importmap"))["imports"]
    start = "data:text/javascript;base64,"
    assert all(url.startswith(start) for url in imports.values())
    return {
        name: base64.b64decode(url.removeprefix(start)).decode()
        for name, url in imports.items()
    }


def test_its_data_are_what_the_server_would_answer(written, page):
    study_dir, report, _ = written
    data = json.loads(page.text("script", id="transfusion-data"))
    assert data == page_module.page_data(study_dir, report.document)
    index = data["index"]
    assert index["problems"] == []
    assert len(index["groups"]) == 3
    assert all(group["num_seeds"] == 3 for group in index["groups"].values())
    [study] = index["studies"]
    assert study["document"]["run"] == "demo/report"
    document = data["tensors"]["transfusion/study"]["demo/report"]["values"][0]
    assert document == report.document
    run = f"demo/runs/{fabricate.run_name('cbr_tiny', 'random', 2)}"
    curve = data["curves"]["validation/auc"]["runs"][run]
    assert curve["steps"] == list(fabricate.STEPS)
    assert curve["values"] == pytest.approx(
        fabricate.curve("random", 2), rel=1e-4
    )
    filters = data["tensors"]["transfusion/filters/stem_conv"][run]
    assert filters["steps"] == [0, fabricate.STEPS[-1]]
    first = filters["values"][0][0][0][0][0]
    expected = fabricate.filters(2)["kernels"][0, 0, 0, 0, 0]
    assert first == pytest.approx(expected, rel=1e-4)


def test_hostile_names_are_text(written, page):
    tags = [tag for tag, _ in page.elements]
    assert sorted(set(tags)) == [
        *("body", "head", "html", "meta", "noscript"),
        *("script", "style", "title"),
    ]
    assert tags.count("script") == 3
    assert page.text("title") == f"Transfusion: {HOSTILE}"
    data = json.loads(page.text("script", id="transfusion-data"))
    [document] = data["tensors"]["transfusion/study"].values()
    assert document["values"][0]["name"] == HOSTILE


def test_nothing_is_asked_of_anyone(written, page):
    _, _, text = written
    for tag, attributes in page.elements:
        assert not {"src", "href"} & attributes.keys(), tag
    # A name space is no address that is asked.
    everything = [text.replace("http-equiv", ""), *modules_of(page).values()]
    for part in everything:
        found = re.findall(r"https?:[^\"'`\s]*", part)
        assert set(found) <= {
            "http://www.w3.org/2000/svg",
            "http://www.w3.org/1999/xlink",
            "http://www.w3.org/1999/xhtml",
        }
    [policy] = [
        attributes["content"]
        for _, attributes in page.elements
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none'; script-src data: 'sha256-")
    for kind in ("importmap", "module"):
        script = page.text("script", type=kind).encode()
        digest = base64.b64encode(hashlib.sha256(script).digest()).decode()
        assert f"'sha256-{digest}'" in policy


def test_every_import_is_a_name_of_the_map(page):
    modules = modules_of(page)
    assert "transfusion/index.js" in modules
    imported = set()
    for text in modules.values():
        assert not re.search(r'(from|import)\s*"\.', text)
        imported |= set(re.findall(r'\bfrom\s*"([^"]+)"', text))
    assert imported and imported <= modules.keys()


def test_the_modules_load(page, tmp_path):
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    # Node has no import maps: the names become files again.
    for name, text in modules_of(page).items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        text = text.replace('"transfusion/', f'"{tmp_path}/transfusion/')
        file.write_text(text)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    script = (
        f'import {{ render }} from "{tmp_path}/transfusion/index.js";'
        "console.log(typeof render);"
    )
    (tmp_path / "start.js").write_text(script)
    process = subprocess.run(
        ["node", str(tmp_path / "start.js")], capture_output=True, text=True
    )
    assert process.stdout == "function\n", process.stderr


def test_equal_records_give_equal_bytes(written, tmp_path):
    study_dir, report, text = written
    reporting.write_page(study_dir, report.document, tmp_path / "again.html")
    assert (tmp_path / "again.html").read_text() == text


def test_a_module_that_imports_what_is_not_there_is_told():
    with pytest.raises(ValueError, match=r"'../gone.js' in views/a.js"):
        page_module._import_map({"views/a.js": 'import "../gone.js";'})


def test_a_study_too_large_for_a_page_is_told(written, tmp_path, monkeypatch):
    study_dir, report, _ = written
    monkeypatch.setattr(page_module, "MAX_BYTES", 1_000)
    with pytest.raises(ValueError, match="--tensorboard_dir"):
        reporting.write_page(study_dir, report.document, tmp_path / "p.html")
    assert not (tmp_path / "p.html").exists()

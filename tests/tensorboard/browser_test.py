"""The tab in the browser that people use, on a real TensorBoard."""

import csv
import io
import json
import os
import pathlib
import shutil
import urllib.request
import xml.etree.ElementTree as ElementTree

import numpy as np
import PIL.Image
import pytest

pytest.importorskip("selenium", reason="selenium is not installed")

from selenium.webdriver.common.keys import Keys
from tensorboard.backend import http_util

import transfusion_tf
from tests.tensorboard import browsing, fabricate

if not (shutil.which("chromium") and shutil.which("chromedriver")):
    pytest.skip(
        "chromium and chromedriver are not installed: "
        "apt install chromium chromium-driver",
        allow_module_level=True,
    )

FRONTEND = pathlib.Path(transfusion_tf.__file__).parent / "tensorboard/frontend"
VIEWS = {
    "overview": "Overview",
    "curves": "Curves",
    "similarity": "Similarity",
    "profile": "Layer profile",
    "filters": "Filters",
    "scatter": "Scatter",
    "about": "About this data",
}


@pytest.fixture(scope="module")
def logdir(tmp_path_factory):
    path = tmp_path_factory.mktemp("logdir")
    fabricate.write_logdir(path)
    return path


@pytest.fixture(scope="module")
def url(logdir):
    address = browsing.serve_tensorboard(logdir)
    _wait_for_report(address)
    return address


def _wait_for_report(address):
    def is_there():
        studies = browsing.ask(address, "index")["studies"]
        demo = [study for study in studies if study["name"] == "demo"]
        return demo and demo[0]["num_runs"] >= 12 and demo[0]["document"]

    browsing.wait(is_there)


@pytest.fixture(scope="module")
def _chromium(tmp_path_factory):
    browser = browsing.Browser(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.quit()


@pytest.fixture
def browser(_chromium):
    """Chromium, which must not have complained or asked elsewhere."""
    _chromium.severe()
    _chromium.requests()
    yield _chromium
    assert _chromium.run("return window.violations") == []
    assert _chromium.severe() == []
    elsewhere = [
        address
        for address in _chromium.requests()
        if not address.startswith(
            ("http://127.0.0.1:", "data:", "blob:http://127.0.0.1:", "about:")
        )
    ]
    assert elsewhere == []


def test_the_frame_is_named_and_structured(browser, url):
    browser.open(url)
    assert browser.run("return frameElement.title") == "Transfusion"
    assert browser.run("return document.documentElement.lang") == "en"
    assert browser.run("return document.title") == "Transfusion"
    assert [h.text for h in browser.all("h1")] == ["Transfusion"]
    assert len(browser.all("header, main, nav")) == 3
    assert "12 runs in 4 groups" in browser.text()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_no_view_has_an_accessibility_violation(browser, url, dark):
    script = _axe()
    # The dark page has other colours, and is the same otherwise.
    rules = {"runOnly": ["color-contrast"]} if dark else {}
    browser.open(url, dark=dark)
    browser.run(script)
    found = {}
    for view, title in VIEWS.items():
        browser.one("[role=tab]", title).click()
        browser.settle()
        shown = browser.run("return document.documentElement.dataset.view")
        assert shown == view
        assert browser.errors() == []
        violations = browser.driver.execute_async_script(
            "axe.run(arguments[0]).then((r) => arguments[1]("
            "r.violations.map((v) => [v.id, ...v.nodes.map((n) => n.html)])))",
            {"resultTypes": ["violations"], **rules},
        )
        if violations:
            found[view] = violations
    assert found == {}


def _axe():
    """axe-core's source: of $TRANSFUSION_AXE, or of the wheel that has it."""
    path = os.environ.get("TRANSFUSION_AXE")
    if not path:
        base = pytest.importorskip("axe_core_python.base")
        path = base.AXE_FILE_PATH
    return pathlib.Path(path).read_text(encoding="utf-8")


def test_the_theme_is_that_of_tensorboard(browser, url):
    colour = "return getComputedStyle(document.documentElement).backgroundColor"
    theme = "return document.documentElement.dataset.theme"
    browser.open(url)
    light = browser.run(colour)
    assert browser.run(theme) == "light"
    browser.driver.switch_to.default_content()
    browser.one("app-header-dark-mode-toggle button").click()
    browser.one("button.mat-mdc-menu-item", "Dark").click()
    browser.enter()
    browsing.wait(lambda: browser.run(theme) == "dark")
    assert sum(_rgb(browser.run(colour))) < 200 < 600 < sum(_rgb(light))


def _rgb(colour):
    return [int(part) for part in colour[4:-1].split(",")]


def test_a_link_opens_what_was_chosen(browser, url):
    browser.open(url)
    browser.one("[role=tab]", "Curves").click()
    browser.one("input[type=search]").send_keys("tiny.*seed[01]")
    browsing.wait(lambda: "4 of 12 runs in 2 groups" in browser.text())
    address = browsing.wait(
        lambda: (
            (link := browser.run("return parent.location.href"))
            and "p.transfusion.runs=" in link
            and link
        )
    )
    assert "p.transfusion.view=curves" in address
    browser.driver.switch_to.default_content()
    browser.driver.get("about:blank")
    browser.driver.get(address)
    browser.enter()
    assert browser.run("return document.documentElement.dataset.view") == (
        "curves"
    )
    search = browser.one("input[type=search]")
    assert search.get_attribute("value") == "tiny.*seed[01]"
    browsing.wait(lambda: "4 of 12 runs in 2 groups" in browser.text())


def test_another_tab_and_back_keeps_what_was_chosen(browser, url):
    browser.open(url, "view=about")
    for name in ("SCALARS", "TRANSFUSION"):
        _show_tab(browser, name)
    browser.enter()
    assert browser.run("return document.documentElement.dataset.view") == (
        "about"
    )


def test_a_filter_that_is_no_expression_says_so(browser, url):
    browser.open(url)
    browser.one("input[type=search]").send_keys("seed[")
    error = browser.one(".field-error")
    assert "all runs shown" in error.text
    search = browser.one("input[type=search]")
    assert search.get_attribute("aria-invalid") == "true"
    assert "12 runs in 4 groups" in browser.text()


def test_the_overview_has_the_reports_numbers(browser, url):
    browser.open(url)
    tag = "tag=transfusion/study&run=demo/report"
    answer = browsing.ask(url, f"tensors?{tag}&step=last")
    (document,) = answer["runs"]["demo/report"]["values"]
    assert document["verdict"] in browser.text()
    rows = browser.run(
        "return [...document.querySelectorAll('table.sortable')[0].rows]"
        ".slice(1).map((row) => [...row.cells].map((c) => c.innerText))"
    )
    assert len(rows) == len(document["arms"]) == 4
    for row, arm in zip(rows, document["arms"], strict=True):
        assert row[:2] == [arm["model_title"], arm["init_title"]]
        assert f"{arm['num_parameters']:,}" in row
        assert any(f"{arm['test']['mean']:.3f}" in cell for cell in row)
        if arm["difference"]:
            difference = f"+{arm['difference']['mean']:.3f}"
            assert any(cell.startswith(difference) for cell in row)
        else:
            assert "baseline" in row


def test_the_table_is_saved_in_full(browser, url):
    browser.open(url)
    browser.one("button[aria-label^='CSV: Test AUC']").click()
    text = browser.downloaded("demo-arms.csv").decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    models = [row["model"] for row in rows]
    assert models == ["cbr_tiny"] * 2 + ["cbr_small"] * 2
    seeds = [float(rows[0][f"test_seed_{seed}"]) for seed in (0, 1, 2)]
    mean = float(rows[0]["test_mean"])
    assert mean == pytest.approx(np.mean(seeds), abs=1e-4)
    assert rows[0]["difference_mean"] == ""
    assert rows[3]["paper"] == "0.947"


def test_tables_are_copied_or_saved(browser, url):
    browser.open(url)
    # Whether the real clipboard is open depends on which window is in front.
    browser.run(
        "navigator.clipboard.writeText = async (text) => {window.text = text}"
    )
    browser.one("button[aria-label^='Copy Markdown: Test AUC']").click()
    text = browsing.wait(lambda: browser.run("return window.text"))
    head, rule, *rows = text.splitlines()
    assert head.startswith("| Model | Initialization | Seeds | Parameters |")
    assert "|  |" not in head, "a plot is no text"
    assert {line.count(" |") for line in (rule, *rows)} == {head.count(" |")}
    assert "transfer from CIFAR-10, 10,000 images" in rows[1]
    assert "(3 of 3 runs)" in rows[1]

    browser.run("navigator.clipboard.writeText = () => Promise.reject()")
    button = browser.one("button[aria-label^='Copy LaTeX: Test AUC']")
    button.click()
    browsing.wait(lambda: button.text == "Saved as a file ✓")
    text = browser.downloaded("demo-arms.tex").decode()
    assert text.startswith("\\begin{tabular}")
    assert text.count("\\\\\n") == len(rows) + 1


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_chart_is_saved_as_it_is_drawn(browser, url, dark):
    browser.open(url, "view=curves", dark=dark)
    drawn = browser.run("""
        const svg = document.querySelector(".card-body svg");
        const {width, height} = svg.viewBox.baseVal;
        const {color} = getComputedStyle(svg);
        const texts = [...svg.querySelectorAll("text")]
          .filter((t) => !t.closest(".no-export")).map((t) => t.textContent);
        const title = svg.closest(".card").querySelector("h3").textContent;
        return {width, height, color, texts, title};
    """)
    for kind in ("SVG", "PNG"):
        browser.one(f"button[aria-label^='{kind}: ']").click()
    vector = browsing.wait(lambda: next(browser.downloads.glob("*.svg"), None))
    image = browsing.wait(lambda: next(browser.downloads.glob("*.png"), None))
    root = ElementTree.fromstring(browser.downloaded(vector.name))
    assert float(root.get("width")) == pytest.approx(drawn["width"])
    assert f"color:{drawn['color']}" in root.get("style").replace(": ", ":")
    texts = [
        "".join(element.itertext())
        for element in root.iter()
        if element.tag.endswith("}text")
    ]
    assert texts == drawn["texts"]
    assert any("CBR-Tiny" in text for text in texts), "no legend"
    assert b"var(" not in vector.read_bytes()
    pixels = np.asarray(PIL.Image.open(image).convert("RGB"))
    assert pixels.shape[1] == pytest.approx(2 * drawn["width"], abs=2)
    assert (pixels[2, 2].mean() < 80) == dark
    assert pixels.std() > 5
    vector.unlink()
    image.unlink()


def test_everything_is_reached_by_keyboard(browser, url):
    browser.open(url)
    browser.run("document.querySelector('[role=tab][tabindex=\"0\"]').focus()")
    seen = []
    for _ in VIEWS:
        browser.press(Keys.ARROW_RIGHT)
        browser.settle()
        seen.append(browser.run("return document.activeElement.textContent"))
        assert browser.run("return document.activeElement.ariaSelected") == (
            "true"
        )
    assert seen == [*list(VIEWS.values())[1:], "Overview"]
    browser.press(Keys.END)
    assert browser.driver.switch_to.active_element.text == "About this data"
    browser.press(Keys.HOME)
    browser.settle()

    # Into the table, by the tab key alone; the focus can be seen everywhere.
    for _ in range(60):
        browser.press(Keys.TAB)
        outline = browser.run(
            "return getComputedStyle(document.activeElement).outlineStyle"
        )
        assert outline != "none"
        column = browser.run("return document.activeElement.dataset.column")
        if column == "parameters":
            break
    assert column == "parameters"
    for key, direction in (
        (Keys.ENTER, "ascending"),
        (Keys.SPACE, "descending"),
        (Keys.ENTER, "none"),
    ):
        browser.press(key)
        head = "document.activeElement.closest('th').ariaSort"
        browsing.wait(
            lambda d=direction, h=head: browser.run(f"return {h}") == d
        )
    browser.press(Keys.ENTER)
    browser.press(Keys.ENTER)
    first = "return document.querySelector('table.sortable td, tbody th')"
    assert browser.run(f"{first}.innerText") == "CBR-Small"


def test_a_hostile_study_is_text(browser, url):
    browser.open(url, "study=.&view=about")
    text = browser.text()
    assert fabricate.HOSTILE_RUN in text
    assert "<script>alert(1)</script>" in text
    for view in VIEWS:
        browser.one("[role=tab]", VIEWS[view]).click()
        browser.settle()
        made = "body script, body img, [onerror], [href^='javascript']"
        assert browser.all(made) == []


def test_a_card_fails_alone(browser, url):
    browser.open(url)
    browser.run("""
        window.realFetch = window.fetch;
        window.fetch = (address) => address.includes("/curves")
          ? Promise.reject(new Error("gone")) : window.realFetch(address);
    """)
    # Typing scrolls to the box, and a card that is far away loads nothing.
    browser.one("input[type=search]").send_keys("seed0")
    browser.show("Validation while training")
    error = browser.one(".card-error", "does not answer")
    assert "Copy details" in error.text
    assert "Transfer helps a little here" in browser.text()
    browser.run("window.fetch = window.realFetch")
    again = error.find_element("xpath", ".//button[text()='Try again']")
    # Not by the mouse: the page may scroll under it, as cards above grow.
    browser.run("arguments[0].click()", again)
    browsing.wait(lambda: not error.is_displayed())
    browsing.wait(lambda: "4 of 12 runs" in browser.text())


def test_the_reload_button_reads_new_data(browser, url, logdir):
    browser.open(url)
    assert "12 runs in 4 groups" in browser.text()
    _write_run(logdir, url, "new")
    assert "12 runs in 4 groups" in browser.text()
    browser.driver.switch_to.default_content()
    browser.one("app-header-reload button").click()
    browser.enter()
    browsing.wait(lambda: "13 runs in 5 groups" in browser.text())
    browser.show("Validation while training")
    browsing.wait(lambda: "New, random" in browser.text())


def test_a_hidden_tab_reads_when_it_is_shown_again(browser, url, logdir):
    browser.open(url)
    # The tab answers TensorBoard's word of new data, hidden or not.
    browser.run("""
        const post = MessagePort.prototype.postMessage;
        MessagePort.prototype.postMessage = function (message) {
          window.told ||= message.includes("DataReloaded");
          return post.call(this, message);
        };
    """)
    _show_tab(browser, "SCALARS")
    _write_run(logdir, url, "newer")
    browser.requests()
    browser.one("app-header-reload button").click()
    browser.enter_frame()
    browsing.wait(lambda: browser.run("return window.told"))
    assert not any("/transfusion/api/" in asked for asked in browser.requests())
    _show_tab(browser, "TRANSFUSION")
    browser.enter()
    browser.show("Validation while training")
    browsing.wait(lambda: "Newer, random" in browser.text())


def _write_run(logdir, url, name):
    run = f"demo/runs/{name}-random-seed0"
    with fabricate.EventFile(logdir / run) as file:
        file.point(fabricate.run_info(model=name, model_title=name.title()))
        file.scalar("validation/auc", 0, 0.5)
    browsing.wait(lambda: run in browsing.ask(url, "index")["runs"])


def _show_tab(browser, name):
    browser.driver.switch_to.default_content()
    browser.one(".plugin-name, [role=tab]", name).click()


def test_under_a_prefix_and_without_eval(browser, logdir, monkeypatch):
    # TensorBoard means to forbid it one day.
    monkeypatch.setattr(http_util, "_CSP_SCRIPT_UNSAFE_EVAL", False)
    address = browsing.serve_tensorboard(logdir, "--path_prefix=/pre/fix")
    _wait_for_report(address)
    browser.open(address)
    for title in VIEWS.values():
        browser.one("[role=tab]", title).click()
        browser.settle()
        assert browser.errors() == []
    entry = f"{address}/data/plugin_entry.html?name=transfusion"
    with urllib.request.urlopen(entry) as response:
        policy = response.headers["Content-Security-Policy"]
    assert "script-src" in policy and "unsafe-eval" not in policy


def test_a_page_of_its_own_needs_no_tensorboard(browser, url, tmp_path):
    index = browsing.ask(url, "index")
    data = {"index": index, "tensors": {}, "curves": {}}
    tag, run = "transfusion/study", "demo/report"
    report = browsing.ask(url, f"tensors?tag={tag}&run={run}")
    data["tensors"][tag] = report["runs"]
    shutil.copytree(FRONTEND, tmp_path / "static")
    text = json.dumps(data).replace("<", "\\u003c")
    (tmp_path / "index.html").write_text(
        "<!doctype html><html><head><title>Report</title>"
        "<link rel=stylesheet href=static/style.css></head><body>"
        f'<script type="application/json" id="transfusion-data">{text}</script>'
        '<script type="module">import {render} from "./static/index.js";'
        "render();</script></body></html>",
        encoding="utf-8",
    )
    with browsing.serve_files(tmp_path) as address:
        browser.driver.switch_to.default_content()
        browser.driver.get(f"{address}/index.html#view=about&study=demo")
        browser.settle()
        assert "Versions" in browser.text()
        browser.one("[role=tab]", "Overview").click()
        browser.one("h3", "what demo says")
        assert "study=demo" in browser.run("return location.hash")
        assert "Transfer helps a little here" in browser.text()
        browser.driver.get("about:blank")

"""The charts of the tab in the browser, against numpy and the server."""

import base64
import csv
import io
import json
import logging
import re
import shutil

import matplotlib
import numpy as np
import PIL.Image
import pytest

pytest.importorskip("selenium", reason="selenium is not installed")

from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from tests.tensorboard import browsing, fabricate
from transfusion_tf.tensorboard import points

if not (shutil.which("chromium") and shutil.which("chromedriver")):
    pytest.skip(
        "chromium and chromedriver are not installed: "
        "apt install chromium chromium-driver",
        allow_module_level=True,
    )

RUN = "demo/runs/cbr_small-random-seed0"
OTHER_RUN = "demo/runs/cbr_small-random-seed1"
TAG = "transfusion/similarity/before_after/cka"
NUM_LAYERS = 177
STEPS = (0, 44, 88)
MANY_INITS = ("mean_var", "random", "shuffle", "transfer", "transfuse:conv1")
SCATTER = [
    {
        "title": "Alike from the start",
        "x_label": "similarity at step 0",
        "y_label": "similarity after training",
        "points": [
            {"x": x, "y": y, "label": f"pair {x}", "group": f"group {i % 2}"}
            for i, (x, y) in enumerate([(0.2, 0.3), (0.3, 0.5), (0.4, 0.6)])
        ],
        "fit": None,
        "note": "Three pairs are too few.",
    }
]


def deep_scores(step):
    """Scores of a deep network with a layer that has none."""
    rng = np.random.default_rng(step)
    places = np.arange(NUM_LAYERS)
    distance = np.abs(np.subtract.outer(places, places))
    scores = np.exp(-distance / 60) * (1 - step / 300)
    scores = np.clip(scores + rng.normal(0, 0.01, scores.shape), 0, 1)
    scores[7] = np.nan
    return scores


def write_many_groups(directory):
    """Five initializations of three seeds, their first filters and scores."""
    for place, init in enumerate(MANY_INITS):
        for seed in range(3):
            with fabricate.EventFile(directory / f"{init}-seed{seed}") as file:
                file.point(fabricate.run_info(init=init, seed=seed))
                for step in STEPS[1:]:
                    file.scalar("validation/auc", step, place / 10 + seed / 50)
                for step in (0, STEPS[-1]):
                    kernel = np.full([4, 3, 3, 3], seed + step, np.float32)
                    file.point(points.filters(step, kernel, layer=init))


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    logdir = tmp_path_factory.mktemp("logdir")
    fabricate.write_study(logdir)
    layers = [f"conv{i // 10}_block{i % 10}" for i in range(NUM_LAYERS)]
    with fabricate.EventFile(logdir / "deep" / "runs" / "deep-seed0") as file:
        file.point(fabricate.run_info(model="deep", model_title="Deep"))
        file.scalar("validation/auc", 0, np.nan)
        file.scalar("validation/auc", 44, 0.6)
        for step in STEPS:
            file.point(fabricate.similarity(step, deep_scores(step), layers))
    document = {"schema_version": 1, "name": "pairs", "scatter": SCATTER}
    document |= {"profiles": [], "arms": [], "pairs": []}
    with fabricate.EventFile(logdir / "pairs" / "report") as file:
        file.point(points.study(document))
    write_many_groups(logdir / "many" / "runs")
    address = browsing.serve_tensorboard(logdir)
    browsing.wait(lambda: len(browsing.ask(address, "index")["runs"]) >= 31)
    return address


@pytest.fixture(scope="module")
def _chromium(tmp_path_factory):
    browser = browsing.Browser(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.quit()


@pytest.fixture
def browser(_chromium):
    """Chromium, which must not have complained."""
    _chromium.severe()
    yield _chromium
    assert _chromium.run("return window.violations") == []
    assert _chromium.severe() == []
    assert _chromium.run("return document.querySelector('.card-error p')") is (
        None
    )


def tensors(url, tag, run):
    """Step -> array, as the server has them."""
    answer = browsing.ask(url, f"tensors?tag={tag}&run={run}&step=all")
    found = answer["runs"][run]
    values = np.array(found["values"], np.float64)
    return dict(zip(found["steps"], values, strict=True))


def picture(browser, selector, number=0):
    """The pixels of an `<image>` within what a selector names."""
    address = browser.run(
        "return document.querySelectorAll(arguments[0] + ' image')"
        "[arguments[1]].getAttribute('href')",
        selector,
        number,
    )
    data = base64.b64decode(address.removeprefix("data:image/png;base64,"))
    return np.asarray(PIL.Image.open(io.BytesIO(data)).convert("RGBA"))


def coloured(values, colormap, low, high):
    """matplotlib's colours of values, transparent where undefined."""
    place = (values - low) / (high - low)
    colours = matplotlib.colormaps[colormap](np.clip(place, 0, 1), bytes=True)
    colours[np.isnan(values)] = 0
    return colours


def assert_alike(pixels, expected):
    assert pixels.shape == expected.shape
    assert np.abs(pixels.astype(int) - expected.astype(int)).max() <= 4


def card(browser, title):
    """The selector of the card that has a title, named for it."""
    browser.one(".card h3", title)
    return browser.run(
        """
        const found = [...document.querySelectorAll(".card")].find((card) =>
          card.querySelector("h3").textContent.startsWith(arguments[0]));
        found.id ||= "found-" + Math.random().toString(36).slice(2);
        return "#" + found.id;
        """,
        title,
    )


def choose(browser, label, value):
    """Chooses from the list with a label in the view."""
    field = browser.one("[role=tabpanel] label", label)
    Select(field.find_element("css selector", "select")).select_by_value(value)
    browser.settle()


def focus(browser, selector):
    browser.run("document.querySelector(arguments[0]).focus()", selector)


def said(browser):
    return browser.run(
        "return document.getElementById('announcements').textContent"
    )


def table_of(browser, selector):
    """The card's table: its head and its rows of text."""
    browser.one(f"{selector} .card-tools button", "Table").click()
    cells = (
        "return [...document.querySelectorAll(arguments[0] + ' table.data tr')]"
        ".map((row) => [...row.cells].map((cell) => cell.innerText))"
    )
    head, *rows = browsing.wait(lambda: browser.run(cells, selector))
    return head, rows


def texts(browser, selector):
    return browser.run(
        "return [...document.querySelectorAll(arguments[0])]"
        ".map((node) => node.textContent)",
        selector,
    )


# Curves.


def curves(url):
    runs = [
        run
        for run, entry in browsing.ask(url, "index")["runs"].items()
        if entry["study"] == "demo" and entry["scalars"]
    ]
    query = "".join(f"&run={run}" for run in runs)
    return browsing.ask(url, f"curves?tag=validation/auc{query}")["groups"]


def test_curves_show_each_groups_mean_and_first_step_above(browser, url):
    browser.open(url, "study=demo&view=curves")
    groups = curves(url)
    assert len(groups) == 4
    assert len(texts(browser, ".chart .legend text")) == 4
    bands = browser.all(".chart g[clip-path] path[opacity='0.16']")
    assert len(bands) == 4
    first = [
        next(
            (s, m)
            for s, m in zip(g["steps"], g["mean"], strict=True)
            if m > 0.7
        )
        for g in groups.values()
        if max(g["mean"]) > 0.7
    ]
    rings = texts(browser, ".chart .mark title")
    found = [int(re.search(r"step (\d+)$", text).group(1)) for text in rings]
    assert sorted(found) == sorted(step for step, _ in first)
    _, rows = table_of(browser, card(browser, "validation/auc"))
    means = {float(value) for _, line, _, value, *_ in rows if line == "mean"}
    expected = [m for g in groups.values() for m in g["mean"]]
    for mean in expected:
        assert min(abs(mean - shown) for shown in means) < 6e-4
    assert sum(row[1] == "mean" for row in rows) == len(expected)


def test_many_groups_have_a_panel_each_beside_random(browser, url):
    browser.open(url, "study=many&view=curves")
    titles = [f"CBR-Tiny, {init}" for init in MANY_INITS]
    assert texts(browser, ".card h3") == ["validation/auc", *titles]
    bands = "g[clip-path] path[opacity='0.16']"
    assert browser.all(f"{card(browser, 'validation/auc')} {bands}") == []
    for title in titles:
        browser.show(title)
        assert len(browser.all(f"{card(browser, title)} {bands}")) == 1
        of_random = {"CBR-Tiny, random (mean of 3 seeds)"}
        assert set(texts(browser, f"{card(browser, title)} .legend text")) == (
            of_random | {f"{title} (mean of 3 seeds)"}
        )
    # One range for all: the lowest and highest end of any band.
    end = "g > text[text-anchor='end']"
    ticks = {
        tuple(texts(browser, f"{card(browser, title)} .chart > {end}"))
        for title in titles
    }
    assert len(ticks) == 1 and len(ticks.pop()) > 3


def test_every_seed_has_its_line_and_is_read_by_keyboard(browser, url):
    browser.open(url, "study=demo&view=curves")
    choose(browser, "Lines", "seeds")
    lines = ".chart g[clip-path] path[fill='none']"
    browsing.wait(lambda: len(browser.all(lines)) == 12)
    assert len(texts(browser, ".chart .legend text")) == 4
    focus(browser, ".chart")
    browser.press(Keys.ARROW_RIGHT)
    start = said(browser)
    assert re.fullmatch(r"CBR-\w+, \w+, seed 0, step 0: 0\.\d{3}", start)
    browser.press(Keys.ARROW_RIGHT)
    assert "step 44" in said(browser)
    browser.press(Keys.ARROW_DOWN)
    assert "seed 1, step 44" in said(browser)
    browser.press(Keys.END)
    assert "step 220" in said(browser)
    browser.press(Keys.ESCAPE)
    assert browser.all(".chart .reading *") == []


def test_steps_on_a_logarithmic_scale(browser, url):
    browser.open(url, "study=demo&view=curves&logx=on")
    shown = texts(browser, ".chart text[text-anchor=middle]")
    ticks = ["0", "1", "2", "5", "10", "20", "50", "100", "200"]
    assert [text for text in shown if text.isdigit()] == ticks
    browser.one("label", "Logarithmic steps").click()
    browsing.wait(
        lambda: "40" in texts(browser, ".chart text[text-anchor=middle]")
    )


def test_all_metrics_have_a_card_each(browser, url):
    browser.open(url, "study=demo&view=curves&metric=all")
    titles = texts(browser, ".card h3")
    assert titles == ["train/loss", "validation/auc"]


def test_what_is_undefined_in_a_curve_is_said(browser, url):
    browser.open(url, "study=deep&view=curves")
    assert "Undefined, therefore not drawn: 1 value." in browser.text()


# Similarity.


def test_a_heat_map_has_viridis_colours_numbers_and_hatches(browser, url):
    browser.open(url, "study=demo&view=similarity")
    shown = card(browser, "CBR-Small, random, seed 0")
    value, null = tensors(url, TAG, RUN)[220]
    assert np.isnan(value).any()
    assert_alike(picture(browser, shown), coloured(value, "viridis", 0, 1))
    cells = texts(browser, f"{shown} g[font-size] text")
    expected = ["" if np.isnan(x) else f"{x:.2f}" for x in value.ravel()]
    for cell, number in zip(cells, expected, strict=True):
        assert cell == number or abs(float(cell) - float(number)) < 0.0101
    legend = texts(browser, f"{shown} svg text")
    assert "undefined" in legend
    assert "null" in legend
    assert np.nanmin(value - null) > 0
    assert "not above the null level" not in legend


def test_one_slider_moves_every_card(browser, url):
    browser.open(url, "study=demo&view=similarity")
    first, second = (
        card(browser, f"CBR-Small, random, seed {seed}") for seed in (0, 1)
    )
    focus(browser, "[role=tabpanel] input[type=range]")
    browser.press(Keys.HOME)
    browser.press(Keys.ARROW_RIGHT)
    for shown, run in ((first, RUN), (second, OTHER_RUN)):
        browsing.wait(
            lambda s=shown: (
                "step 44" in " ".join(texts(browser, f"{s} svg text"))
            )
        )
        value, _ = tensors(url, TAG, run)[44]
        assert_alike(picture(browser, shown), coloured(value, "viridis", 0, 1))
    link = "return parent.location.hash"
    browsing.wait(lambda: "p.transfusion.step=44" in browser.run(link))


def test_playing_ends_at_the_last_step(browser, url):
    browser.open(url, "study=deep&view=similarity&step=44")
    shown = card(browser, "Deep")
    browser.one("button", "Play").click()
    browser.one("button", "Stop")
    browsing.wait(
        lambda: "step 88" in " ".join(texts(browser, f"{shown} svg text"))
    )
    browser.one("button", "Play")


def test_fitted_colours_span_the_scores_of_all_steps(browser, url):
    browser.open(url, "study=demo&view=similarity&range=fit")
    shown = card(browser, "CBR-Small, random, seed 0")
    scores = tensors(url, TAG, RUN)
    everything = np.stack([planes[0] for planes in scores.values()])
    ends = np.nanmin(everything), np.nanmax(everything)
    expected = coloured(scores[220][0], "viridis", *ends)
    assert_alike(picture(browser, shown), expected)


def test_one_run_less_another(browser, url):
    browser.open(url, "study=demo&view=similarity")
    choose(browser, "Less another run", OTHER_RUN)
    title = "CBR-Small, random, seed 0 less CBR-Small, random, seed 1"
    shown = card(browser, title)
    change = (
        tensors(url, TAG, RUN)[220][0] - tensors(url, TAG, OTHER_RUN)[220][0]
    )
    expected = coloured(change, "RdBu", -1, 1)
    browsing.wait(lambda: browser.all(f"{shown} image"))
    assert_alike(picture(browser, shown), expected)
    browser.one(f"{shown} .card-tools button", "CSV").click()
    name = "similarity-demo_runs_cbr_small-random-seed0-cka.csv"
    text = browser.downloaded(name).decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    found = [float(row["difference"] or "nan") for row in rows]
    np.testing.assert_allclose(found, change.ravel(), atol=1e-5)


def test_keys_walk_the_cells_and_open_a_profile(browser, url):
    browser.open(url, "study=demo&view=similarity")
    shown = card(browser, "CBR-Small, random, seed 0")
    value, _ = tensors(url, TAG, RUN)[220]
    focus(browser, f"{shown} svg")
    browser.press(Keys.ARROW_RIGHT)
    assert said(browser).startswith("block1 and block1, linear CKA")
    assert f"{value[0, 0]:.3f}" in said(browser)
    assert "null level 0.100" in said(browser)
    browser.press(Keys.ARROW_DOWN)
    browser.press(Keys.END)
    assert said(browser).startswith("block2 and block4")
    browser.press(Keys.HOME)
    browser.press(Keys.ARROW_LEFT)
    assert "opens its profile" in said(browser)
    browser.press(Keys.ENTER)
    browser.settle()
    profile = card(browser, "Profile of a layer")
    assert "block2 of step 0" in browser.one(f"{profile} .card-note").text
    _, rows = table_of(browser, profile)
    assert [row[0] for row in rows] == list(fabricate.LAYERS)
    found = [float(row[1]) for row in rows]
    np.testing.assert_allclose(found, value[1], atol=6e-4)
    # The same name again closes it.
    browser.press(Keys.ESCAPE)
    focus(browser, f"{shown} svg")
    for key in (Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ARROW_LEFT, Keys.ENTER):
        browser.press(key)
    browsing.wait(
        lambda: "Profile of a layer" not in texts(browser, ".card h3")
    )


def test_an_undefined_cell_is_said(browser, url):
    browser.open(url, "study=demo&view=similarity")
    shown = card(browser, "CBR-Small, random, seed 0")
    focus(browser, f"{shown} svg")
    browser.press(Keys.ARROW_RIGHT)
    browser.press(Keys.END)
    assert said(browser) == "block1 and block4, undefined"


def test_a_deep_networks_heat_map_is_drawn_at_once(
    browser, url, record_property
):
    browser.open(url, "study=deep&view=similarity")
    shown = card(browser, "Deep")
    value, _ = tensors(url, TAG, "deep/runs/deep-seed0")[88]
    assert_alike(picture(browser, shown), coloured(value, "viridis", 0, 1))
    # An element a cell would take half a second to draw.
    assert len(browser.all(f"{shown} svg *")) < 400
    labels = browser.all(f"{shown} svg text[text-anchor=end]")
    assert 20 < len(labels) < 120
    assert "not above the null level" in texts(browser, f"{shown} svg text")
    measured = browser.driver.execute_async_script(
        _MEASURE,
        [
            np.where(np.isnan(s), None, s).tolist()
            for s in map(deep_scores, STEPS)
        ],
    )
    assert measured["pictures"] == len(STEPS)
    for name in ("first_paint_ms", "step_change_ms"):
        times = sorted(measured[name])
        median = times[len(times) // 2]
        record_property(name, median)
        logging.getLogger(__name__).info("%s: median %.1f", name, median)


# Until the frame that shows it has been painted.
_MEASURE = """
const [steps, done] = arguments;
const painted = () => new Promise((resolve) => requestAnimationFrame(() => {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = resolve;
  port2.postMessage(null);
}));
const timed = async (work) => {
  await painted();
  const start = performance.now();
  work();
  await painted();
  return performance.now() - start;
};
(async () => {
  const { heatmap } = await import("./static/heatmap.js");
  const { withinNull } = await import("./static/matrix.js");
  const names = steps[0].map((_, i) => `conv${i}_block${i % 10}`);
  const side = { title: "layers", layers: names };
  const nulls = steps[0].map((row) => row.map(() => 0.1));
  const state = (values) => ({
    title: "a step", values, nulls, domain: [0, 1], selected: null,
    marked: withinNull(values, nulls, true),
  });
  const place = document.querySelector(".card-body");
  const result = { first_paint_ms: [], step_change_ms: [] };
  const pictures = new Set();
  for (let i = 0; i < 5; i += 1) {
    let drawn;
    result.first_paint_ms.push(await timed(() => {
      drawn = heatmap({
        rows: side, columns: side, width: 640, colormap: "viridis",
        scaleTitle: "CKA", markedTitle: "not above", read: () => [],
        onSelect() {}, announce() {},
      }, state(steps[0]));
      place.replaceChildren(drawn.node);
    }));
    for (const values of [...steps.slice(1), steps[0]]) {
      const change = () => drawn.update(state(values));
      result.step_change_ms.push(await timed(change));
      pictures.add(drawn.node.querySelector("image").getAttribute("href"));
    }
  }
  done({ ...result, pictures: pictures.size });
})();
"""


# Layer profile.


def test_profiles_are_those_of_the_report(browser, url):
    browser.open(url, "study=demo&view=profile")
    tag = "tag=transfusion/study&run=demo/report"
    answer = browsing.ask(url, f"tensors?{tag}&step=last")
    (document,) = answer["runs"]["demo/report"]["values"]
    arms = {
        p["init"]: p for p in document["profiles"] if p["model"] == "cbr_tiny"
    }
    shown = card(browser, "CBR-Tiny")
    legend = texts(browser, f"{shown} .legend text")
    assert legend == [
        "CBR-Tiny, random (3 runs)",
        "CBR-Tiny, transfer (3 runs)",
        "transfer − random",
        "each run",
        "null level (images permuted)",
    ]
    _, rows = table_of(browser, shown)
    found = [[float(x) for x in row[2:6]] for row in rows]
    expected = [
        [arm[key][i] for key in ("mean", "low", "high", "null")]
        for arm in arms.values()
        for i in range(4)
    ]
    np.testing.assert_allclose(found, expected, atol=6e-4)
    focus(browser, f"{shown} svg")
    for key in (Keys.ARROW_RIGHT, Keys.ARROW_DOWN, Keys.ARROW_DOWN):
        browser.press(key)
    reuse = arms["transfer"]["mean"][0] - arms["random"]["mean"][0]
    assert said(browser) == f"transfer − random, block1, +{reuse:.3f}"


def test_live_profiles_follow_the_step(browser, url):
    browser.open(url, "study=demo&view=profile&step=44")
    live = "section[aria-label='As it trains']"
    browser.run(f'document.querySelector("{live}").scrollIntoView()')
    browser.settle()
    browsing.wait(
        lambda: "CBR-Small, step 44" in texts(browser, f"{live} text")
    )
    tag = "transfusion/profile/before_after/cka"
    value, null = tensors(url, tag, RUN)[44]
    focus(browser, f"{live} .card svg")
    browser.press(Keys.ARROW_RIGHT)
    assert said(browser) == (
        f"CBR-Small, random, seed 0, block1, step 44: {value[0]:.3f}, "
        f"null level {null[0]:.3f}"
    )


# Filters.


def weights(url):
    """Weights of a run before and after, `[filters, 5, 5, 3]`."""
    steps = tensors(url, "transfusion/filters/block1", RUN)
    return steps[0], steps[220]


def tiles(pixels, count):
    """The filters of a grid, `[filters, 5, 5, 3]`."""
    columns = -(-pixels.shape[1] // 6)
    return np.stack(
        [
            pixels[r * 6 : r * 6 + 5, c * 6 : c * 6 + 5, :3]
            for r, c in (divmod(i, columns) for i in range(count))
        ]
    ).astype(float)


def shade(values, low, high):
    return 255 * (values - low) / (high - low)


def test_filters_are_drawn_as_they_are_normalized(browser, url):
    before, after = weights(url)
    delta = after - before
    size = np.abs([before, after]).max()
    axes = (1, 2, 3)
    lows, highs = (
        f(before, axis=axes, keepdims=True) for f in (np.min, np.max)
    )
    sizes = np.abs(delta).max(axis=axes, keepdims=True)
    ends = min(before.min(), after.min()), max(before.max(), after.max())
    expected = {
        "symmetric": (shade(before, -size, size), shade(delta, -size, size)),
        "shared": (
            shade(before, *ends),
            shade(delta, -np.abs(delta).max(), np.abs(delta).max()),
        ),
        "filter": (shade(before, lows, highs), shade(delta, -sizes, sizes)),
    }
    browser.open(url, "study=demo&view=filters&sort=original")
    shown = card(browser, "CBR-Small, random, seed 0: block1")
    for name, (first, third) in expected.items():
        choose(browser, "Colours", name)
        for place, values in ((0, first), (2, third)):
            browsing.wait(
                lambda p=place, v=values: (
                    np.abs(tiles(picture(browser, shown, p), 32) - v).max()
                    < 1.5
                )
            )


def test_filters_are_ordered_read_and_summed_up(browser, url):
    before, after = (x.reshape(32, -1) for x in weights(url))
    changes = np.linalg.norm(after - before, axis=1)
    correlations = [
        np.corrcoef(x, y)[0, 1] for x, y in zip(before, after, strict=True)
    ]
    browser.open(url, "study=demo&view=filters")
    shown = card(browser, "CBR-Small, random, seed 0: block1")
    card(browser, "CBR-Small, transfer, seed 0: block1")  # Beside it.
    note = browser.one(f"{shown} .card-note").text
    assert f"{np.mean(correlations):.3f}" in note
    relative = changes / np.linalg.norm(before, axis=1)
    assert f"{np.mean(relative):.3f}" in note
    focus(browser, f"{shown} svg")
    browser.press(Keys.ARROW_RIGHT)
    first = int(changes.argmax())
    assert said(browser).startswith(f"filter {first} (1 of 32)")
    assert f"correlation {correlations[first]:.3f}" in said(browser)
    # The same filter in each of the three grids.
    assert len(browser.all(f"{shown} .reading > rect")) == 3
    choose(browser, "Order", "norm")
    focus(browser, f"{shown} svg")
    browser.press(Keys.ARROW_RIGHT)
    largest = int(np.linalg.norm(after, axis=1).argmax())
    assert said(browser).startswith(f"filter {largest} (1 of 32)")


def test_random_and_transfer_are_side_by_side_if_there_are_both(browser, url):
    browser.open(url, "study=many&view=filters")
    assert texts(browser, ".card h3") == [
        "CBR-Tiny, random, seed 0: random"
    ]  # Each initialization's layer has another name here.
    beside = browser.run(
        "return [...document.querySelectorAll('.field')].find((field) => "
        "field.textContent.startsWith('Beside it'))"
        ".querySelector('select').value"
    )
    assert beside == "many/runs/transfer-seed0"


def test_one_run_of_filters_alone(browser, url):
    browser.open(url, "study=demo&view=filters")
    choose(browser, "Run", OTHER_RUN)
    choose(browser, "Beside it", "none")
    browsing.wait(
        lambda: (
            texts(browser, ".card h3") == ["CBR-Small, random, seed 1: block1"]
        )
    )


# Scatter.


def test_points_with_a_fitted_line(browser, url):
    browser.open(url, "study=demo&view=scatter")
    text = browser.text()
    assert "R² 0.97 (0.80 to 0.99), n = 6" in text
    focus(browser, ".chart")
    browser.press(Keys.ARROW_RIGHT)
    browser.press(Keys.END)
    assert said(browser) == (
        "CBR-Tiny, random: run 5, CKA with the donor at step 0 0.500, "
        "steps to AUC 0.7 125.000"
    )


def test_similarities_have_equal_axes_and_a_fit_is_not_invented(browser, url):
    browser.open(url, "study=pairs&view=scatter")
    assert "R² is not determined" in browser.text()
    assert SCATTER[0]["note"] in browser.text()
    box = browser.run(
        "const box = document.querySelector('.chart clipPath rect');"
        "return ['width', 'height'].map((name) => box.getAttribute(name))"
    )
    assert box[0] == box[1]
    assert texts(browser, ".chart .legend text") == [
        "as at initialization",
        "group 0",
        "group 1",
    ]


def test_views_without_data_say_what_to_run(browser, url):
    browser.open(url, "study=pairs&view=curves")
    for view, program in {
        "curves": "launch.train",
        "similarity": "launch.similarity",
        "profile": "launch.study",
        "filters": "launch.train",
    }.items():
        browser.one(f"#tab-{view}").click()
        commands = browsing.wait(lambda: texts(browser, ".empty code"))
        assert any(f"python -m {program}" in command for command in commands)
    browser.one("#tab-curves").click()
    browser.one("input[type=search]").send_keys("x")
    browser.one(".empty h3", "No curve matches")


def test_a_study_without_pairs_says_what_to_run(browser, url):
    browser.open(url, "study=deep&view=scatter")
    commands = texts(browser, ".empty code")
    assert json.dumps(commands).count("--study_dir") == 2

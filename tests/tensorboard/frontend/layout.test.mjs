import assert from "node:assert/strict";
import { test } from "node:test";

import {
  CHARACTER,
  LINE,
  SWATCH,
  fit,
  layout,
  markerPath,
} from "../../../transfusion_tf/tensorboard/frontend/layout.js";

const LAYERS = Array.from({ length: 177 }, (_, i) => `conv${i}_block${i}`);

function options(changes = {}) {
  return {
    title: "AUC",
    width: 500,
    height: 300,
    x: { label: "step" },
    y: { label: "AUC" },
    series: [{ label: "random", points: [[0, 0.5], [44, 0.8]] }],
    ...changes,
  };
}

test("points lie within the plot, the first left and the highest up", () => {
  const { box, x, y } = layout(options());
  assert.equal(x.position(0), box.x);
  assert.equal(x.position(44), box.x + box.width);
  assert.ok(y.position(0.8) >= box.y && y.position(0.8) < y.position(0.5));
  assert.ok(y.position(0.5) <= box.y + box.height);
});

test("bands and thresholds are within the plot too", () => {
  const series = [
    { label: "a", points: [[0, 0.5], [1, 0.6]], low: [0.1, null], high: [0.9, 1] },
  ];
  const plan = layout(options({ series, rules: [{ y: 1.4, label: "t" }] }));
  const [low, high] = plan.y.domain;
  assert.ok(low <= 0.1 && high >= 1.4);
});

test("everything fits into the width and height that it reports", () => {
  for (const width of [320, 500, 1200]) {
    for (const count of [1, 4, 30]) {
      const series = Array.from({ length: count }, (_, i) => ({
        label: `CBR-LargeT, transfuse:block${i}, seed ${i}`,
        points: [[0, 0.1 * i]],
      }));
      const plan = layout(options({ width, series }));
      assert.equal(plan.entries.length, count);
      const rows = new Map();
      for (const { x, y, length, label } of plan.entries) {
        assert.ok(x + SWATCH + label.length * CHARACTER <= width);
        assert.ok(y <= plan.height && y > plan.xLabelY);
        assert.ok(x >= (rows.get(y) ?? 0), "entries run into one another");
        rows.set(y, x + length);
      }
      assert.ok(plan.box.height >= 80);
      assert.ok(plan.box.x + plan.box.width <= width);
    }
  }
});

test("the legend has what belongs there and what is added", () => {
  const series = [
    { label: "mean", points: [[0, 1]] },
    { label: "null", points: [[0, 1]], inLegend: false },
  ];
  const { entries } = layout(options({ series, legend: [{ label: "null level" }] }));
  assert.deepEqual(
    entries.map((entry) => entry.label),
    ["mean", "null level"],
  );
});

test("few layers have a label each, many have them thinned, none overlap", () => {
  const at = (categories) =>
    layout(options({ x: { label: "stage", categories } })).xTicks;
  assert.deepEqual(
    at(["conv1", "block1"]).map((tick) => tick.label),
    ["conv1", "block1"],
  );
  const many = at(LAYERS);
  assert.ok(many.length > 10 && many.length < 40);
  assert.equal(many[0].label, LAYERS[0]);
  many.slice(1).forEach((tick, i) => assert.ok(tick.at - many[i].at >= LINE));
});

test("labels of layers are slanted only when they need it", () => {
  const slanted = (categories) =>
    layout(options({ x: { label: "stage", categories } })).slanted;
  assert.equal(slanted(["conv1", "block1"]), false);
  assert.equal(slanted(LAYERS), true);
});

test("a slanted label stays within the chart", () => {
  const categories = ["a_very_long_name_of_a_layer", ...LAYERS];
  const plan = layout(options({ x: { label: "stage", categories } }));
  const [{ at, label }] = plan.xTicks;
  // Its end is 4 pixels right of the tick; it rises by 40 degrees.
  const reach = label.length * CHARACTER * Math.cos((40 * Math.PI) / 180);
  assert.ok(at + 4 - reach >= 0, `${at} ${reach}`);
});

test("equal axes have one domain and one length", () => {
  const series = [{ label: "a", points: [[0.1, 0.35], [0.2, 0.7]] }];
  const { x, y, box } = layout(options({ series, equal: true }));
  assert.deepEqual(x.domain, y.domain);
  assert.equal(box.width, box.height);
  assert.ok(x.domain[0] <= 0.1 && x.domain[1] >= 0.7);
});

test("a chart without points has a place for them", () => {
  const { box, yTicks } = layout(options({ series: [] }));
  assert.ok(box.width > 0 && yTicks.length > 2);
});

test("a long text is shortened to its width", () => {
  assert.equal(fit("short", 100), "short");
  const text = fit("x".repeat(100), 100);
  assert.ok(text.endsWith("…") && text.length * CHARACTER <= 100);
});

test("markers stay in their square and differ", () => {
  const paths = ["o", "s", "^", "D", "v", "P", "X", "tick", "dot"].map((name) =>
    markerPath(name, 0, 0, 10),
  );
  assert.equal(new Set(paths).size, paths.length);
  for (const path of paths) {
    assert.match(path, /^M[-\d. LaZ]+Z$/);
    for (const number of path.match(/-?[\d.]+/g)) {
      assert.ok(Math.abs(Number(number)) <= 20);
    }
  }
});

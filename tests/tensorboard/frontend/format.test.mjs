import assert from "node:assert/strict";
import test from "node:test";

import * as format from "../../../transfusion_tf/tensorboard/frontend/format.js";

test("numbers keep their decimals, large and small ones stay readable", () => {
  assert.equal(format.number(0.8416), "0.842");
  assert.equal(format.number(0), "0.000");
  assert.equal(format.number(-0.25, 2), "−0.25");
  assert.equal(format.number(12345.6), "12,346");
  assert.equal(format.number(0.000021), "2.1e−5");
  assert.equal(format.number(-0.0004), "−4.0e−4");
  assert.equal(format.number(0.0005), "0.001");
});

test("what is no number is missing", () => {
  for (const x of [null, undefined, NaN, Infinity, -Infinity, "1"]) {
    assert.equal(format.number(x), format.MISSING);
    assert.equal(format.signed(x), format.MISSING);
    assert.equal(format.integer(x), format.MISSING);
  }
});

test("differences have a sign, zero has none", () => {
  assert.equal(format.signed(0.0125, 2), "+0.01");
  assert.equal(format.signed(-0.5, 1), "−0.5");
  assert.equal(format.signed(0), "0.000");
});

test("an interval is shown if both ends are numbers", () => {
  const { interval, signed } = format;
  const whole = { mean: 0.8421, low: 0.8014, high: 0.883 };
  assert.equal(interval(whole), "0.842 (0.801 to 0.883)");
  assert.equal(
    interval({ mean: 0.01, low: -0.02, high: 0.04 }, 2, signed),
    "+0.01 (−0.02 to +0.04)",
  );
  assert.equal(interval({ mean: 0.5, low: null, high: 1 }), "0.500");
  assert.equal(interval({ mean: null, low: 0, high: 1 }), format.MISSING);
  assert.equal(interval(null), format.MISSING);
});

test("integers have thousands separators", () => {
  const cases = { 0: "0", 999: "999", 1000: "1,000", 23508032: "23,508,032" };
  for (const [n, text] of Object.entries(cases)) {
    assert.equal(format.integer(Number(n)), text);
  }
  assert.equal(format.integer(-1234), "−1,234");
});

test("counts agree with their noun", () => {
  assert.equal(format.count(1, "run"), "1 run");
  assert.equal(format.count(1200, "run"), "1,200 runs");
  assert.equal(format.count(0, "study", "studies"), "0 studies");
});

test("metrics in print, unknown ones as they are", () => {
  assert.equal(format.metricTitle("auc"), "AUC");
  assert.equal(format.metricTitle("mean_squared_error"), "mean squared error");
  assert.equal(format.metricTitle("constructor"), "constructor");
});

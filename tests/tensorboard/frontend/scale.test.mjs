import assert from "node:assert/strict";
import { test } from "node:test";

import {
  extent,
  labelStride,
  linearScale,
  logScale,
  logTicks,
  niceDomain,
  tickLabels,
  ticks,
} from "../../../transfusion_tf/tensorboard/frontend/scale.js";

test("a linear scale goes there and back, downwards too", () => {
  const scale = linearScale([10, 20], [300, 100]);
  assert.equal(scale.position(10), 300);
  assert.equal(scale.position(15), 200);
  assert.equal(scale.position(20), 100);
  assert.equal(scale.value(200), 15);
});

test("on a log scale step 0 has a place and equal ratios equal lengths", () => {
  const scale = logScale([0, 999], [0, 300]);
  assert.equal(scale.position(0), 0);
  assert.ok(Math.abs(scale.position(9) - 100) < 1e-9);
  assert.ok(Math.abs(scale.position(99) - 200) < 1e-9);
  assert.ok(Math.abs(scale.value(200) - 99) < 1e-9);
});

test("ticks are round, exact, within the interval", () => {
  assert.deepEqual(ticks(0, 1, 5), [0, 0.2, 0.4, 0.6, 0.8, 1]);
  assert.deepEqual(ticks(0.1, 0.3, 2), [0.1, 0.2, 0.3]);
  assert.deepEqual(ticks(-1, 1, 4), [-1, -0.5, 0, 0.5, 1]);
  assert.deepEqual(ticks(3, 47, 5), [10, 20, 30, 40]);
  assert.deepEqual(ticks(0, 25000, 5), [0, 5000, 10000, 15000, 20000, 25000]);
});

test("ticks of any interval are about as many as asked for", () => {
  for (let exponent = -7; exponent < 8; exponent += 1) {
    for (const high of [1, 1.7, 2.4, 3.9, 5.5, 7.3, 9.9]) {
      const found = ticks(0, high * 10 ** exponent, 5).length;
      assert.ok(found >= 3 && found <= 9, `${high}e${exponent}: ${found}`);
    }
  }
});

test("ticks of a log scale are 0 and powers of ten, or finer", () => {
  assert.deepEqual(logTicks(0, 44, 8), [0, 1, 2, 5, 10, 20]);
  assert.deepEqual(logTicks(0, 25000, 8), [0, 1, 10, 100, 1000, 10000]);
  assert.deepEqual(logTicks(5, 44, 8), [5, 10, 20]);
});

test("a nice domain contains its interval and ends on ticks", () => {
  assert.deepEqual(niceDomain([0.51, 0.83], 5), [0.5, 0.85]);
  assert.deepEqual(niceDomain([0, 1], 5), [0, 1]);
  assert.deepEqual(niceDomain([-0.31, 0.2], 5), [-0.4, 0.2]);
});

test("a nice domain of one value has some length about it", () => {
  for (const value of [0, 0.7, -3, 1e6]) {
    const [low, high] = niceDomain([value, value], 5);
    assert.ok(low < value && value < high);
  }
});

test("the extent leaves out what is no number", () => {
  assert.deepEqual(extent([null, 2, NaN, -1, Infinity, 0]), [-1, 2]);
  assert.equal(extent([null, NaN]), null);
});

test("labels of ticks have the decimals that the finest needs", () => {
  assert.deepEqual(tickLabels([0, 0.25, 0.5]), ["0.00", "0.25", "0.50"]);
  assert.deepEqual(tickLabels([0, 50, 100]), ["0", "50", "100"]);
  assert.deepEqual(tickLabels([-0.5, 0]), ["−0.5", "0.0"]);
  assert.deepEqual(tickLabels([5000, 10000]), ["5,000", "10,000"]);
});

test("labels that do not fit are thinned to a round stride", () => {
  assert.equal(labelStride(10, 200, 12), 1);
  assert.equal(labelStride(177, 500, 12), 5);
  assert.equal(labelStride(177, 100, 12), 50);
});

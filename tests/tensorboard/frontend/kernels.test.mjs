import assert from "node:assert/strict";
import { test } from "node:test";

import {
  correlation,
  describeFilters,
  gridOf,
  gridPixels,
  meanOf,
  scalesOf,
  sortFilters,
} from "../../../transfusion_tf/tensorboard/frontend/kernels.js";

// Two filters of 1 x 2 x 1.
const BEFORE = [[[[3], [4]]], [[[1], [0]]]];
const AFTER = [[[[3], [4]]], [[[0], [2]]]];

test("norms, changes and correlations of filters", () => {
  const [same, other] = describeFilters(BEFORE, AFTER);
  assert.deepEqual([same.normBefore, same.change, same.relative], [5, 0, 0]);
  assert.ok(Math.abs(same.correlation - 1) < 1e-12);
  assert.deepEqual(other.delta, [-1, 2]);
  assert.ok(Math.abs(other.change - Math.sqrt(5)) < 1e-12);
  assert.ok(Math.abs(other.relative - Math.sqrt(5)) < 1e-12);
  assert.ok(Math.abs(other.correlation + 1) < 1e-12);
});

test("the correlation is Pearson's, undefined for a constant", () => {
  // numpy.corrcoef([1, 2, 4, 3], [2, 1, 5, 5])[0, 1]
  const found = correlation([1, 2, 4, 3], [2, 1, 5, 5]);
  assert.ok(Math.abs(found - 0.81409158) < 1e-8, String(found));
  assert.equal(correlation([1, 1], [0, 3]), null);
  const [dead] = describeFilters([[[[0], [0]]]], [[[[1], [2]]]]);
  assert.equal(dead.relative, null);
});

test("means leave out what is undefined", () => {
  const filters = [{ correlation: 0.5 }, { correlation: null }, { correlation: 1 }];
  assert.equal(meanOf(filters, "correlation"), 0.75);
  assert.equal(meanOf([{ correlation: null }], "correlation"), null);
});

test("filters are ordered by change, by norm, or as they were", () => {
  const filters = [
    { index: 0, change: 1, normAfter: 5 },
    { index: 1, change: 3, normAfter: 1 },
    { index: 2, change: 2, normAfter: 9 },
  ];
  const order = (name) => sortFilters(filters, name).map(({ index }) => index);
  assert.deepEqual(order("change"), [1, 2, 0]);
  assert.deepEqual(order("norm"), [2, 0, 1]);
  assert.deepEqual(order("original"), [0, 1, 2]);
});

test("scales of each filter, of all, and around 0", () => {
  const filters = describeFilters(BEFORE, AFTER);
  const of = (grid, name) => scalesOf(filters, grid, name);
  assert.deepEqual(of("before", "filter"), [[3, 4], [0, 1]]);
  assert.deepEqual(of("after", "filter"), [[3, 4], [0, 2]]);
  assert.deepEqual(of("before", "shared"), [[0, 4], [0, 4]]);
  assert.deepEqual(of("after", "shared"), [[0, 4], [0, 4]]);
  for (const grid of ["before", "after", "delta"]) {
    assert.deepEqual(of(grid, "symmetric"), [[-4, 4], [-4, 4]]);
  }
});

test("no change is in the middle of every scale of differences", () => {
  const filters = describeFilters(BEFORE, AFTER);
  assert.deepEqual(scalesOf(filters, "delta", "shared"), [[-2, 2], [-2, 2]]);
  for (const name of ["filter", "shared", "symmetric"]) {
    for (const [low, high] of scalesOf(filters, "delta", name)) {
      assert.equal(low + high, 0);
    }
  }
});

test("a grid is a square with a pixel between filters", () => {
  assert.deepEqual(gridOf(64, 7, 7), { columns: 8, rows: 8, width: 63, height: 63 });
  assert.deepEqual(gridOf(5, 3, 2), { columns: 3, rows: 2, width: 8, height: 7 });
});

test("weights are shades of grey, or red, green and blue", () => {
  const grey = gridPixels([[0, 1]], [[0, 1]], [1, 2, 1]);
  assert.deepEqual([...grey], [0, 0, 0, 255, 255, 255, 255, 255]);
  const color = gridPixels([[-1, 0, 1]], [[-1, 1]], [1, 1, 3]);
  assert.deepEqual([...color], [0, 128, 255, 255]);
  const mean = gridPixels([[0, 1]], [[0, 1]], [1, 1, 2]);
  assert.deepEqual([...mean], [128, 128, 128, 255]);
});

test("a filter without a range is mid grey; between filters nothing is drawn", () => {
  const data = gridPixels([[5], [5]], [[5, 5], [5, 5]], [1, 1, 1]);
  assert.deepEqual([...data], [128, 128, 128, 255, 0, 0, 0, 0, 128, 128, 128, 255]);
});

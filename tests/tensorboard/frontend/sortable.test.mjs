import assert from "node:assert/strict";
import test from "node:test";

import { sorted } from "../../../transfusion_tf/tensorboard/frontend/sortable.js";

const COLUMNS = [
  { id: "name", value: (row) => row.name },
  { id: "score", value: (row) => row.score },
  { id: "plot" },
];
const ROWS = [
  { name: "seed10", score: 0.5 },
  { name: "seed9", score: null },
  { name: "seed1", score: -1 },
];

function names(order) {
  return sorted(ROWS, COLUMNS, order).map(({ name }) => name);
}

test("numbers by size, texts by the numbers in them", () => {
  assert.deepEqual(names("score"), ["seed1", "seed10", "seed9"]);
  assert.deepEqual(names("name"), ["seed1", "seed9", "seed10"]);
  assert.deepEqual(names("-name"), ["seed10", "seed9", "seed1"]);
});

test("what has no value comes last in either direction", () => {
  assert.equal(names("-score").at(-1), "seed9");
  assert.deepEqual(names("-score"), ["seed10", "seed1", "seed9"]);
});

test("an order that is no column leaves the rows as they were", () => {
  const first = ["seed10", "seed9", "seed1"];
  for (const order of ["", "-", "other", "plot", "-plot"]) {
    assert.deepEqual(names(order), first);
  }
  assert.equal(ROWS[0].name, "seed10");
});

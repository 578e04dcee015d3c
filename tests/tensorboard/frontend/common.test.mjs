import assert from "node:assert/strict";
import { test } from "node:test";

import {
  lookOf,
  planesOf,
  runTitle,
  stepPlace,
  studyGroups,
  tensorsOfKind,
} from "../../../transfusion_tf/tensorboard/frontend/views/common.js";

const INFO = { model_title: "CBR-Tiny", init: "random", seed: 1, fold: null };
const INDEX = {
  contents: [{ kind: "similarity" }, { kind: "filters" }],
  groups: {
    other: { study: "other", label: "Other" },
    a: { study: "demo", label: "CBR-Tiny, random", model: "cbr_tiny" },
    b: { study: "demo", label: "CBR-Tiny, transfer", model: "cbr_tiny" },
  },
  runs: {
    "demo/runs/a": {
      study: "demo",
      info: INFO,
      group: "a",
      tags: { x: { content: 0, max_step: 44 }, y: { content: 1, max_step: 9 } },
    },
    "demo/pair": { study: "demo", info: null, group: null, tags: {} },
  },
};
const CONTEXT = {
  index: INDEX,
  selectedRuns: () => Object.keys(INDEX.runs),
  study: () => ({ study: "demo" }),
};

test("the step shown is the last that is not later than that chosen", () => {
  assert.equal(stepPlace([0, 44, 88], ""), 2);
  assert.equal(stepPlace([0, 44, 88], "44"), 1);
  assert.equal(stepPlace([0, 44, 88], "87"), 1);
  assert.equal(stepPlace([0, 44, 88], "0"), 0);
  assert.equal(stepPlace([44, 88], "3"), 0);
  assert.equal(stepPlace([0, 44, 88], "what?"), 2);
});

test("planes have their names", () => {
  const content = { planes: ["value", "null"] };
  assert.deepEqual(planesOf(content, [[1], [0]]), { value: [1], null: [0] });
});

test("a run is named by its group, seed and fold, or by itself", () => {
  assert.equal(runTitle(INDEX, "demo/runs/a"), "CBR-Tiny, random, seed 1");
  assert.equal(runTitle(INDEX, "demo/pair"), "pair");
  const folds = structuredClone(INDEX);
  folds.runs["demo/runs/a"].info.fold = "2/5";
  assert.equal(
    runTitle(folds, "demo/runs/a"),
    "CBR-Tiny, random, seed 1, fold 2/5",
  );
});

test("groups of the chosen study look alike in every view", () => {
  assert.deepEqual(
    studyGroups(CONTEXT).map(({ key }) => key),
    ["a", "b"],
  );
  const [first, second] = studyGroups(CONTEXT).map(({ look }) => look);
  assert.notDeepEqual(first, second);
  assert.deepEqual(lookOf(CONTEXT, (_, key) => key === "b"), second);
  assert.deepEqual(lookOf(CONTEXT, () => false, 0), first);
});

test("tensors of one kind", () => {
  assert.deepEqual(tensorsOfKind(CONTEXT, "filters"), [
    { run: "demo/runs/a", tag: "y", content: { kind: "filters" }, maxStep: 9 },
  ]);
});

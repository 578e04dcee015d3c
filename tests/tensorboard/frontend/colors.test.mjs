import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import {
  DASHES,
  GROUP_COLORS,
  MARKERS,
  diverging,
  groupLook,
  isDark,
  viridis,
} from "../../../transfusion_tf/tensorboard/frontend/colors.js";

const FIGURES = new URL(
  "../../../transfusion_tf/reporting/figures.py",
  import.meta.url,
);

test("viridis is matplotlib's", () => {
  // plt.get_cmap("viridis")(i) * 255, rounded.
  const expected = {
    0: [68, 1, 84],
    13: [72, 20, 103],
    52: [64, 69, 136],
    77: [52, 96, 141],
    128: [33, 145, 140],
    191: [92, 200, 99],
    232: [194, 223, 35],
    255: [253, 231, 37],
  };
  for (const [i, color] of Object.entries(expected)) {
    const found = viridis(i / 255);
    color.forEach((channel, j) =>
      assert.ok(Math.abs(channel - found[j]) <= 1, `${i}: ${found}`),
    );
  }
});

test("differences are red below, near white at and blue above none", () => {
  assert.deepEqual(diverging(0.5), [247, 247, 247]);
  // ColorBrewer's RdBu in 11 classes.
  assert.deepEqual(diverging(0), [103, 0, 31]);
  assert.deepEqual(diverging(0.2), [214, 96, 77]);
  assert.deepEqual(diverging(0.8), [67, 147, 195]);
  assert.deepEqual(diverging(1), [5, 48, 97]);
});

test("what is beyond the ends has their colours", () => {
  assert.deepEqual(viridis(-3), viridis(0));
  assert.deepEqual(viridis(7), viridis(1));
  assert.deepEqual(diverging(1.2), diverging(1));
});

test("groups look as in the printed figures", () => {
  const text = readFileSync(FIGURES, "utf8");
  const listed = (name) =>
    [...text.match(`${name}[^=]*= \\(([^)]*)\\)`)[1].matchAll(/"([^"]+)"/g)].map(
      (match) => match[1],
    );
  const colors = listed("COLOURS");
  // Black on white paper is the text's colour on a dark screen.
  assert.deepEqual([...GROUP_COLORS], [...colors.slice(0, -1), "currentColor"]);
  assert.equal(colors.at(-1), "#000000");
  assert.deepEqual([...MARKERS], listed("MARKERS"));
});

test("28 groups look different, without colours neighbours do", () => {
  const looks = Array.from({ length: 28 }, (_, i) => groupLook(i));
  assert.equal(new Set(looks.map((look) => JSON.stringify(look))).size, 28);
  looks.slice(1).forEach((look, i) => {
    assert.notEqual(look.marker, looks[i].marker);
    assert.notEqual(look.dash, looks[i].dash);
  });
  assert.equal(GROUP_COLORS.length, MARKERS.length);
  assert.equal(new Set(DASHES).size, DASHES.length);
});

test("marks are white on dark colours and black on light ones", () => {
  assert.ok(isDark([0, 0, 0]) && isDark(viridis(0)) && isDark(diverging(1)));
  assert.ok(!isDark([255, 255, 255]) && !isDark(viridis(1)));
});

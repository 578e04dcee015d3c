import assert from "node:assert/strict";
import { test } from "node:test";

import { viridis } from "../../../transfusion_tf/tensorboard/frontend/colors.js";
import {
  cellAt,
  cellText,
  colorOf,
  difference,
  marksPath,
  matrixPlan,
  pixels,
  slice,
  withinNull,
} from "../../../transfusion_tf/tensorboard/frontend/matrix.js";

const names = (count) => Array.from({ length: count }, (_, i) => `layer${i}`);

/** Number of times a path crosses into and out of marked cells. */
function length(path) {
  return [...path.matchAll(/[hv](-?[\d.]+)/g)].reduce(
    (sum, match) => sum + Math.abs(Number(match[1])),
    0,
  );
}

test("a pixel a score, row after row, transparent where undefined", () => {
  const data = pixels([[0, 1], [null, 0.5]], "viridis", [0, 1]);
  assert.deepEqual([...data.slice(0, 4)], [...viridis(0), 255]);
  assert.deepEqual([...data.slice(4, 8)], [...viridis(1), 255]);
  assert.deepEqual([...data.slice(8, 12)], [0, 0, 0, 0]);
  assert.equal(data.length, 16);
});

test("colours span the domain and go no further", () => {
  assert.deepEqual(colorOf("viridis", 2, [1, 3]), colorOf("viridis", 0.5, [0, 1]));
  assert.deepEqual(colorOf("viridis", -9, [0, 1]), viridis(0));
  assert.deepEqual(colorOf("diverging", 0.2, [-1, 1]).length, 3);
  const [red, , blue] = colorOf("diverging", -0.4, [-0.5, 0.5]);
  assert.ok(red > blue);
});

test("scores at or beyond the null level are within it, undefined are not", () => {
  const values = [[0.5, 0.1, null, 0.3]];
  const nulls = [[0.2, 0.1, 0.2, null]];
  assert.deepEqual(withinNull(values, nulls, true), [[false, true, false, false]]);
  assert.deepEqual(withinNull(values, nulls, false), [[true, true, false, false]]);
  assert.deepEqual(withinNull(values, null, true), [[false, false, false, false]]);
});

test("a difference is undefined where one side is", () => {
  assert.deepEqual(difference([[1, null, 3]], [[0.5, 1, null]]), [
    [0.5, null, null],
  ]);
});

test("large cells have a stroke each, within the cell", () => {
  for (const cell of [12, 60]) {
    const place = { x: 100, y: 50, cell };
    const path = marksPath([[false, true], [false, false]], place);
    const [x, y, right, up] = path.match(/-?[\d.]+/g).map(Number);
    assert.ok(x > 100 + cell && x + right < 100 + 2 * cell);
    assert.ok(y < 50 + cell && y + up > 50);
  }
});

test("small cells are outlined together: the length is the boundary's", () => {
  const place = { x: 0, y: 0, cell: 2 };
  const square = [[true, true], [true, true]];
  assert.equal(length(marksPath(square, place)), 2 * 8);
  assert.equal(marksPath(square, place).match(/M/g).length, 4);
  const ring = [
    [true, true, true],
    [true, false, true],
    [true, true, true],
  ];
  assert.equal(length(marksPath(ring, place)), 2 * (12 + 4));
  const diagonal = [[true, false], [false, true]];
  assert.equal(length(marksPath(diagonal, place)), 2 * 8);
  assert.equal(marksPath([[false]], place), "");
});

test("a heat map fits its width, cells are square", () => {
  for (const width of [320, 600, 1400]) {
    for (const [numRows, numColumns] of [[4, 4], [17, 5], [177, 177]]) {
      const plan = matrixPlan({
        rows: names(numRows),
        columns: names(numColumns),
        width,
      });
      const { box, cell, bar } = plan;
      assert.ok(Math.abs(box.width - cell * numColumns) < 1e-9);
      assert.ok(Math.abs(box.height - cell * numRows) < 1e-9);
      assert.ok(bar.x > box.x + box.width && bar.x + bar.width + 60 <= width);
      assert.ok(plan.columnTitleY < plan.legendY && plan.legendY < plan.height);
    }
  }
});

test("numbers stand in cells of up to 12 layers that have the room", () => {
  const shows = (count, width) =>
    matrixPlan({ rows: names(count), columns: names(count), width }).showsNumbers;
  assert.equal(shows(4, 600), true);
  assert.equal(shows(12, 700), true);
  assert.equal(shows(13, 1400), false);
  assert.equal(shows(12, 360), false);
});

test("many names are thinned so that none overlap", () => {
  const plan = matrixPlan({ rows: names(177), columns: names(177), width: 700 });
  for (const labels of [plan.rowLabels, plan.columnLabels]) {
    assert.ok(labels.length > 10);
    labels.slice(1).forEach((label, i) => {
      assert.ok(label.at - labels[i].at >= 12);
    });
  }
  const few = matrixPlan({ rows: names(4), columns: names(4), width: 700 });
  assert.equal(few.rowLabels.length, 4);
});

test("a place is a cell, a name of a row or of a column, or nothing", () => {
  const plan = matrixPlan({ rows: names(3), columns: names(5), width: 600 });
  const { box, cell } = plan;
  const at = (x, y) => cellAt(plan, 3, 5, x, y);
  assert.deepEqual(at(box.x + 1.5 * cell, box.y + 2.5 * cell), {
    row: 2,
    column: 1,
  });
  assert.deepEqual(at(box.x - 5, box.y + 0.5 * cell), { row: 0, column: -1 });
  assert.deepEqual(at(box.x + 4.5 * cell, box.y + 3 * cell + 8), {
    row: 3,
    column: 4,
  });
  assert.equal(at(box.x + 5.5 * cell, box.y + cell), null);
  assert.equal(at(box.x, box.y - 3), null);
});

test("differences have a sign, undefined scores no text", () => {
  assert.equal(cellText(0.126, "viridis"), "0.13");
  assert.equal(cellText(0.126, "diverging"), "+0.13");
  assert.equal(cellText(-0.126, "diverging"), "−0.13");
  assert.equal(cellText(null, "viridis"), "");
});

test("a row and a column", () => {
  const values = [[1, 2], [3, 4]];
  assert.deepEqual(slice(values, "row", 1), [3, 4]);
  assert.deepEqual(slice(values, "column", 1), [2, 4]);
});

/** @file A matrix of scores as pixels, marks and places; pure, no element. */

import { viridis, diverging } from "./colors.js";
import { isNumber, number, signed } from "./format.js";
import { CHARACTER, LINE, fit, fixed, slantedWidth } from "./layout.js";
import { labelStride } from "./scale.js";

const MOST_LABEL = 20;
const LARGEST_CELL = 72;
const LARGEST_MAP = 560;
const SCALE_WIDTH = 118;
const NUMBERED_LAYERS = 12;
const NUMBERED_CELL = 28;

/** Size of a cell in pixels below which a stroke would be all that is seen. */
export const HATCHED_CELL = 9;

const SHADES = 256;
const SHADES_OF = { viridis: shades(viridis), diverging: shades(diverging) };

function shades(color) {
  return Array.from({ length: SHADES }, (_, i) => color(i / (SHADES - 1)));
}

/**
 * The colour of a score.
 *
 * @param {"viridis"|"diverging"} colormap
 * @param {number} value
 * @param {[number, number]} domain Scores of the first and last colour; those
 *     beyond have the same.
 * @returns {[number, number, number]}
 */
export function colorOf(colormap, value, [low, high]) {
  const t = (value - low) / (high - low);
  const index = Math.round(Math.min(Math.max(t, 0), 1) * (SHADES - 1));
  return SHADES_OF[colormap][index];
}

/**
 * A pixel a score, transparent where it is undefined.
 *
 * @param {Array<Array<?number>>} values `[rows][columns]`
 * @param {"viridis"|"diverging"} colormap
 * @param {[number, number]} domain As in `colorOf`.
 * @returns {Uint8ClampedArray} Red, green, blue, alpha; row after row.
 */
export function pixels(values, colormap, domain) {
  const numColumns = values[0]?.length ?? 0;
  const data = new Uint8ClampedArray(values.length * numColumns * 4);
  let place = 0;
  for (let r = 0; r < values.length; r += 1) {
    for (let c = 0; c < numColumns; c += 1, place += 4) {
      if (!isNumber(values[r][c])) continue;
      const color = colorOf(colormap, values[r][c], domain);
      data[place] = color[0];
      data[place + 1] = color[1];
      data[place + 2] = color[2];
      data[place + 3] = 255;
    }
  }
  return data;
}

/**
 * Which scores are no more than those of unrelated images.
 *
 * @param {Array<Array<?number>>} values
 * @param {?Array<Array<?number>>} nulls Levels, or null if there are none.
 * @param {boolean} largerIsMoreSimilar
 * @returns {boolean[][]} Of undefined scores and levels false.
 */
export function withinNull(values, nulls, largerIsMoreSimilar) {
  return values.map((row, r) =>
    row.map((value, c) => {
      const level = nulls?.[r][c];
      if (!isNumber(value) || !isNumber(level)) return false;
      return largerIsMoreSimilar ? value <= level : value >= level;
    }),
  );
}

/**
 * One matrix less another.
 *
 * @param {Array<Array<?number>>} a
 * @param {Array<Array<?number>>} b Of the same shape.
 * @returns {Array<Array<?number>>} Null where one of them is.
 */
export function difference(a, b) {
  return a.map((row, r) =>
    row.map((value, c) =>
      isNumber(value) && isNumber(b[r][c]) ? value - b[r][c] : null,
    ),
  );
}

/**
 * A path that marks cells: a stroke through each where they are large, else a
 * line around all that touch one another.
 *
 * @param {boolean[][]} mask
 * @param {{x: number, y: number, cell: number}} place In pixels.
 * @returns {string} For the attribute `d`; empty if no cell is marked.
 */
export function marksPath(mask, place) {
  return place.cell >= HATCHED_CELL
    ? strokes(mask, place)
    : outline(mask, place);
}

function strokes(mask, { x, y, cell }) {
  // Where there may be a number, in the corner.
  const isLarge = cell >= NUMBERED_CELL;
  const size = fixed(isLarge ? 10 : 0.5 * cell);
  const inset = isLarge ? cell - 13 : 0.25 * cell;
  const parts = [];
  mask.forEach((row, r) =>
    row.forEach((marked, c) => {
      if (!marked) return;
      const left = fixed(x + c * cell + inset);
      const bottom = fixed(y + r * cell + inset + size);
      parts.push(`M${left} ${bottom}l${size} ${-size}`);
    }),
  );
  return parts.join("");
}

function outline(mask, { x, y, cell }) {
  const [numRows, numColumns] = [mask.length, mask[0]?.length ?? 0];
  // With a frame of unmarked cells, each edge lies between two cells.
  const stride = numColumns + 2;
  const flat = new Uint8Array((numRows + 2) * stride);
  for (let r = 0; r < numRows; r += 1) {
    for (let c = 0; c < numColumns; c += 1) {
      if (mask[r][c]) flat[(r + 1) * stride + c + 1] = 1;
    }
  }
  const parts = [];
  // Of neighbouring edges one segment: fewer points, and a shorter file.
  const segments = (numLines, length, across, along, draw) => {
    for (let i = 0; i <= numLines; i += 1) {
      let start = -1;
      for (let j = 0; j <= length; j += 1) {
        const cellBefore = i * across + (j + 1) * along;
        const isEdge =
          j < length && flat[cellBefore] !== flat[cellBefore + across];
        if (isEdge && start < 0) start = j;
        if (!isEdge && start >= 0) {
          parts.push(draw(i, start, j - start));
          start = -1;
        }
      }
    }
  };
  const at = (r, c) => `M${fixed(x + c * cell)} ${fixed(y + r * cell)}`;
  segments(numRows, numColumns, stride, 1, (r, c, length) =>
    `${at(r, c)}h${fixed(length * cell)}`);
  segments(numColumns, numRows, 1, stride, (c, r, length) =>
    `${at(r, c)}v${fixed(length * cell)}`);
  return parts.join("");
}

/**
 * Where everything of a heat map stands.
 *
 * @param {{rows: string[], columns: string[], width: number}} options Names of
 *     the layers; pixels.
 * @returns {Object} `box` and `cell` of the map, `rowLabels` and `columnLabels`
 *     as `{index, at, label}`, `bar` of the colour scale, `legendY`, `height`,
 *     `showsNumbers`.
 */
export function matrixPlan({ rows, columns, width }) {
  const longest = (names) =>
    Math.min(Math.max(1, ...names.map((name) => name.length)), MOST_LABEL);
  const left = Math.max(
    30 + longest(rows) * CHARACTER,
    slantedWidth(columns[0] ?? ""),
  );
  const room = Math.max(width - left - SCALE_WIDTH, 60);
  const cell = Math.min(
    room / columns.length,
    LARGEST_CELL,
    LARGEST_MAP / rows.length,
  );
  const box = {
    x: left,
    y: 2 * LINE + 6,
    width: cell * columns.length,
    height: cell * rows.length,
  };
  const bottom = box.y + box.height;
  const labelHeight = longest(columns) * CHARACTER * 0.64 + 14;
  const barHeight = Math.min(Math.max(box.height, 90), 220);
  const legendY =
    Math.max(bottom + labelHeight + LINE, box.y + barHeight) + LINE + 4;
  const labels = (names, length) => {
    const stride = labelStride(names.length, length, LINE - 2);
    return names
      .map((name, index) => ({
        index,
        at: (index + 0.5) * cell,
        label: fit(name, MOST_LABEL * CHARACTER),
      }))
      .filter(({ index }) => index % stride === 0);
  };
  return {
    width,
    height: legendY + 8,
    box,
    cell,
    rowLabels: labels(rows, box.height),
    columnLabels: labels(columns, box.width),
    columnTitleY: bottom + labelHeight + LINE - 2,
    bar: { x: box.x + box.width + 44, y: box.y, width: 12, height: barHeight },
    legendY,
    showsNumbers:
      Math.max(rows.length, columns.length) <= NUMBERED_LAYERS && cell >= NUMBERED_CELL,
  };
}

/**
 * What lies at a place in the drawing.
 *
 * @param {Object} plan Of `matrixPlan`.
 * @param {number} numRows
 * @param {number} numColumns
 * @param {number} x In pixels.
 * @param {number} y
 * @returns {?{row: number, column: number}} Column -1 are the names of the rows,
 *     row `numRows` those of the columns; null elsewhere.
 */
export function cellAt({ box, cell }, numRows, numColumns, x, y) {
  const row = Math.floor((y - box.y) / cell);
  const column = Math.floor((x - box.x) / cell);
  const inRows = row >= 0 && row < numRows;
  const inColumns = column >= 0 && column < numColumns;
  if (inRows && inColumns) return { row, column };
  if (inRows && x < box.x && x > 18) return { row, column: -1 };
  const below = y - box.y - box.height;
  if (inColumns && below >= 0 && below < 60) return { row: numRows, column };
  return null;
}

/**
 * The scores of a layer with all of the other side.
 *
 * @param {Array<Array<?number>>} values `[rows][columns]`
 * @param {"row"|"column"} axis
 * @param {number} index
 * @returns {Array<?number>}
 */
export function slice(values, axis, index) {
  return axis === "row" ? values[index] : values.map((row) => row[index]);
}

/**
 * A score for a small cell.
 *
 * @param {?number} value
 * @param {"viridis"|"diverging"} colormap Differences have a sign.
 * @returns {string}
 */
export function cellText(value, colormap) {
  if (!isNumber(value)) return "";
  return colormap === "diverging" ? signed(value, 2) : number(value, 2);
}

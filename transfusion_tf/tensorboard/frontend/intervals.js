/** @file Small dot-and-whisker plots for the rows of a table. */

import { svg } from "./dom.js";
import { isNumber } from "./format.js";
import { extent, linearScale, tickLabels } from "./scale.js";

const WIDTH = 140;
const MARGIN = 7;
const HEIGHT = 24;
const AXIS_HEIGHT = 18;

/**
 * The common axis of a column of plots.
 *
 * @param {Array<?number>} values All that will be drawn.
 * @param {number} [reference] Marked by a line in each plot.
 * @returns {?{scale: Scale, ticks: number[], reference: ?number}} Null without
 *     a number to draw.
 */
export function axisOf(values, reference = null) {
  const found = extent(values);
  if (!found) return null;
  const [low, high] = extent([...found, reference]);
  const room = 0.06 * (high - low) || 0.01;
  const domain = [low - room, high + room];
  const scale = linearScale(domain, [MARGIN, WIDTH - MARGIN]);
  const ticks = scale.ticks(3);
  // Of many ticks every second, so that their numbers stand apart.
  const shown = ticks.length > 4 ? ticks.filter((_, i) => i % 2 === 0) : ticks;
  return { scale, ticks: shown, reference };
}

/**
 * Draws the ticks of an axis with their numbers, for the column's head.
 *
 * @param {Object} axis From `axisOf`.
 * @returns {SVGElement}
 */
export function drawAxis(axis) {
  const labels = tickLabels(axis.ticks);
  return picture(
    AXIS_HEIGHT,
    axis.ticks.map((tick, index) => {
      const x = axis.scale.position(tick);
      return [
        line("axis-line", x, AXIS_HEIGHT - 4, AXIS_HEIGHT),
        svg("text", { class: "axis-text", x, y: 10 }, labels[index]),
      ];
    }),
  );
}

/**
 * Draws one row.
 *
 * @param {Object} axis From `axisOf`.
 * @param {Object} marks
 * @param {?{mean: number, low: ?number, high: ?number}} [marks.estimate] A dot
 *     with a thick whisker.
 * @param {?{low: number, high: number}} [marks.wide] A thin whisker.
 * @param {Array<{value: ?number, low: ?number, high: ?number}>} [marks.runs]
 *     Each a small dot, with a whisker of its own if there is no estimate.
 * @param {?{value: number}} [marks.paper] A hollow diamond.
 * @returns {SVGElement}
 */
export function drawRow(axis, { estimate, wide, runs = [], paper }) {
  const middle = HEIGHT / 2;
  const x = axis.scale.position;
  const whisker = (kind, { low, high }, y) =>
    isNumber(low) &&
    isNumber(high) &&
    svg("line", { class: kind, x1: x(low), x2: x(high), y1: y, y2: y });
  const dot = (kind, value, y, radius) =>
    svg("circle", { class: kind, cx: x(value), cy: y, r: radius });
  const known = runs.filter(({ value }) => isNumber(value));
  const hasMean = estimate && isNumber(estimate.mean);
  const step = (HEIGHT - 8) / Math.max(1, known.length);
  return picture(
    HEIGHT,
    axis.ticks.map((tick) => line("axis-line", x(tick), 0, HEIGHT)),
    isNumber(axis.reference) &&
      line("axis-reference", x(axis.reference), 0, HEIGHT),
    wide && whisker("mark-wide", wide, middle),
    hasMean && [
      whisker("mark-thick", estimate, middle),
      known.map(({ value }) => dot("mark-run", value, middle + 7, 1.8)),
      dot("mark-mean", estimate.mean, middle, 4),
    ],
    !hasMean &&
      known.map((run, index) => {
        const y = 4 + (index + 0.5) * step;
        return [
          whisker("mark-wide", run, y),
          dot("mark-mean", run.value, y, 3),
        ];
      }),
    paper && isNumber(paper.value) && diamond(x(paper.value), middle),
  );
}

function diamond(x, y) {
  return svg("path", {
    class: "mark-paper",
    d: `M${x - 5} ${y}L${x} ${y - 5}L${x + 5} ${y}L${x} ${y + 5}Z`,
  });
}

function line(kind, x, y1, y2) {
  return svg("line", { class: kind, x1: x, x2: x, y1, y2 });
}

/** The numbers stand beside it in the table: screen readers skip it. */
function picture(height, ...children) {
  return svg(
    "svg",
    {
      class: "interval-plot",
      width: WIDTH,
      height,
      viewBox: `0 0 ${WIDTH} ${height}`,
      "aria-hidden": "true",
    },
    children,
  );
}

/** @file Where everything of a chart stands; pure, no element is made. */

import {
  extent,
  labelStride,
  linearScale,
  logScale,
  niceDomain,
  tickLabels,
} from "./scale.js";

/** Size of the text in a chart, in pixels. */
export const FONT = 11;
/** Height of a line of it. */
export const LINE = 15;
/** Width of a character of it; generous, so that texts never run together. */
export const CHARACTER = 6.3;
/** Width of an entry of the legend before its text. */
export const SWATCH = 30;

const LONGEST_LABEL = 20;

/**
 * @typedef {Object} Series
 * @property {string} label
 * @property {string} color
 * @property {string} [dash] Pattern of the line.
 * @property {string} [marker] Of `MARKERS`, or "tick" or "dot".
 * @property {Array<[number, ?number]>} points With rising x where a line joins
 *     them; the line breaks where y is null.
 * @property {Array<?number>} [low] Ends of a band, one a point.
 * @property {Array<?number>} [high]
 * @property {boolean} [line] Whether the points are joined; true by default.
 * @property {number} [width] Of the line, in pixels.
 * @property {number} [opacity]
 * @property {boolean} [silent] Whether its points are not read.
 * @property {boolean} [inLegend] True by default.
 * @property {function(number): string[]} [read] Lines of text for a point.
 */

/**
 * @typedef {Object} ChartOptions
 * @property {string} title Printed at the top; an export stands alone.
 * @property {number} width In pixels.
 * @property {number} [height]
 * @property {{label: string, log?: boolean, categories?: string[],
 *     domain?: [number, number]}} x With categories, x are their places.
 * @property {{label: string, domain?: [number, number]}} y
 * @property {Series[]} series
 * @property {Array<{y: number, label: string}>} [rules] Dashed levels.
 * @property {Array<{x: number, y: number, color: string, text: string}>}
 *     [marks] Points to notice: a ring and a line down to the x axis.
 * @property {Array<Object>} [legend] More entries, as `Series`.
 * @property {boolean} [equal] Both axes have one domain and one length.
 * @property {function(string): void} announce For screen readers.
 */

/**
 * Where everything of a chart stands; no element is made.
 *
 * @param {ChartOptions} options
 * @returns {Object} `box` of the plot, scales `x` and `y`, `xTicks` and
 *     `yTicks` as `{at, label}`, `entries` of the legend as `{x, y, series}`.
 */
export function layout(options) {
  const { width } = options;
  const categories = options.x.categories;
  const entries = [...options.series, ...(options.legend ?? [])].filter(
    (series) => series.inLegend !== false,
  );
  const domains = domainsOf(options);
  const yLabels = tickLabels(linearScale(domains.y, [1, 0]).ticks(5));
  const yLabelWidth = 26 + CHARACTER * Math.max(...yLabels.map((t) => t.length));
  const right = 16;
  const top = 2 * LINE + 2;
  const placed = placeLegend(entries, width - 16);
  const slanted = categories && !fits(categories, width - yLabelWidth - right);
  // A slanted label ends below its tick and begins far to the left of it.
  const left = slanted
    ? Math.max(yLabelWidth, slantedWidth(categories[0]))
    : yLabelWidth;
  const xLabelHeight = slanted ? slantedHeight(categories) : LINE;
  const bottom = 8 + xLabelHeight + LINE + 6 + placed.height;
  let plotWidth = Math.max(width - left - right, 40);
  let plotHeight = Math.max((options.height ?? 300) - top - bottom, 80);
  if (options.equal) {
    plotWidth = Math.min(plotWidth, 380);
    plotHeight = plotWidth;
  }
  const box = { x: left, y: top, width: plotWidth, height: plotHeight };
  const makeX = options.x.log ? logScale : linearScale;
  const x = makeX(domains.x, [left, left + plotWidth]);
  const y = linearScale(domains.y, [top + plotHeight, top]);
  const height = top + plotHeight + bottom;
  return {
    width,
    height,
    box,
    x,
    y,
    slanted,
    xTicks: categories
      ? categoryTicks(x, categories, plotWidth)
      : named(x, x.ticks(Math.max(2, Math.floor(plotWidth / 90)))),
    yTicks: named(y, y.ticks(5)),
    xLabelY: top + plotHeight + 8 + xLabelHeight + LINE - 3,
    entries: placed.entries.map((entry) => ({
      ...entry,
      y: height - placed.height + entry.y,
    })),
  };
}

/**
 * The outline of a marker.
 *
 * @param {string} marker Of `MARKERS`, or "tick" or "dot".
 * @param {number} x Of its middle, in pixels.
 * @param {number} y
 * @param {number} r Half its size.
 * @returns {string} For the attribute `d`.
 */
export function markerPath(marker, x, y, r) {
  const polygon = (points) =>
    `M${points.map(([dx, dy]) => `${fixed(x + dx * r)} ${fixed(y + dy * r)}`).join("L")}Z`;
  const circle = (radius) =>
    `M${fixed(x - radius)} ${fixed(y)}` +
    `a${radius} ${radius} 0 1 0 ${2 * radius} 0` +
    `a${radius} ${radius} 0 1 0 ${-2 * radius} 0Z`;
  if (marker in POLYGONS) return polygon(POLYGONS[marker]);
  return circle(marker === "dot" ? r / 2 : r);
}

const PLUS = [
  [-0.4, -1], [0.4, -1], [0.4, -0.4], [1, -0.4], [1, 0.4], [0.4, 0.4],
  [0.4, 1], [-0.4, 1], [-0.4, 0.4], [-1, 0.4], [-1, -0.4], [-0.4, -0.4],
];
const POLYGONS = {
  s: [[-0.9, -0.9], [0.9, -0.9], [0.9, 0.9], [-0.9, 0.9]],
  "^": [[0, -1], [1, 0.9], [-1, 0.9]],
  v: [[0, 1], [1, -0.9], [-1, -0.9]],
  D: [[0, -1.2], [1.2, 0], [0, 1.2], [-1.2, 0]],
  P: PLUS,
  // The plus turned by an eighth.
  X: PLUS.map(([x, y]) => [(x - y) * Math.SQRT1_2, (x + y) * Math.SQRT1_2]),
  tick: [[-1.2, -0.25], [1.2, -0.25], [1.2, 0.25], [-1.2, 0.25]],
};

/**
 * Shortens a text to a width.
 *
 * @param {string} text
 * @param {number} width In pixels.
 * @param {number} [size] Of the font.
 * @returns {string} With an ellipsis if it was shortened.
 */
export function fit(text, width, size = FONT) {
  const most = Math.max(1, Math.floor((width / CHARACTER) * (FONT / size)));
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}

function domainsOf({ x, y, series, rules = [], equal }) {
  const xs = series.flatMap((s) => s.points.map(([value]) => value));
  const ys = series.flatMap((s) => [
    ...s.points.map(([, value]) => value),
    ...(s.low ?? []),
    ...(s.high ?? []),
  ]);
  const levels = rules.map((rule) => rule.y);
  const either = equal ? [...xs, ...ys] : null;
  const xDomain = x.categories
    ? [-0.3, Math.max(x.categories.length - 0.7, 0.3)]
    : equal
      ? niceDomain(extent(either) ?? [0, 1], 5)
      : widened(extent(xs) ?? [0, 1]);
  return {
    x: x.domain ?? xDomain,
    y: y.domain ?? niceDomain(extent(either ?? [...ys, ...levels]) ?? [0, 1], 5),
  };
}

/** As it is, but of some length. */
function widened([low, high]) {
  return low < high ? [low, high] : [low, low + 1];
}

function named(scale, values) {
  const labels = tickLabels(values);
  return values.map((value, i) => ({
    at: scale.position(value),
    label: labels[i],
  }));
}

function fits(categories, width) {
  const longest = Math.max(...categories.map((text) => text.length));
  return longest * CHARACTER + 8 <= width / categories.length;
}

/**
 * @param {string} label Slanted by 40 degrees, as names of layers are.
 * @returns {number} How far it reaches to the left, in pixels.
 */
export function slantedWidth(label) {
  return Math.min(label.length, LONGEST_LABEL) * CHARACTER * 0.77 + 6;
}

function slantedHeight(categories) {
  const longest = Math.max(...categories.map((text) => text.length));
  return Math.min(longest, LONGEST_LABEL) * CHARACTER * 0.64 + 8;
}

function categoryTicks(x, categories, width) {
  const stride = labelStride(categories.length, width, LINE);
  return categories
    .map((label, i) => ({ at: x.position(i), label: fit(label, LONGEST_LABEL * CHARACTER) }))
    .filter((_, i) => i % stride === 0);
}

function placeLegend(entries, width) {
  const placed = [];
  let [x, y] = [8, LINE];
  for (const series of entries) {
    const label = fit(series.label, width - SWATCH - 8);
    const length = SWATCH + label.length * CHARACTER + 14;
    if (x > 8 && x + length > width) [x, y] = [8, y + LINE];
    placed.push({ x, y: y - 2, length, label, series });
    x += length;
  }
  return { entries: placed, height: entries.length > 0 ? y + 6 : 0 };
}

/**
 * @param {number} x
 * @returns {number} With two decimals: enough for pixels, short in a file.
 */
export function fixed(x) {
  return Math.round(x * 100) / 100;
}

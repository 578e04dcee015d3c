/** @file Lines, bands and points in an SVG that holds its own legend. */

import { GREY } from "./colors.js";
import { svg, uniqueId } from "./dom.js";
import { count, isNumber } from "./format.js";
import { FONT, LINE, SWATCH, fit, fixed, layout, markerPath } from "./layout.js";
import { addReading } from "./reading.js";

// A line with more points has a marker on some of them only.
const MOST_MARKERS = 24;

/**
 * Draws a chart.
 *
 * With the focus on it, left and right go along a series, up and down to the
 * next, Escape leaves; the point is named beside it and to screen readers.
 *
 * @param {ChartOptions} options As described in `layout.js`.
 * @returns {SVGSVGElement}
 */
export function lineChart(options) {
  const plan = layout(options);
  const clip = uniqueId("clip");
  const chart = svg(
    "svg",
    {
      width: plan.width,
      height: plan.height,
      viewBox: `0 0 ${plan.width} ${plan.height}`,
      "font-size": FONT,
      fill: "currentColor",
      class: "chart",
      tabindex: 0,
      role: "application",
      "aria-roledescription": "chart",
      "aria-label": describe(options),
    },
    svg(
      "text",
      { x: 8, y: LINE, "font-weight": "bold", "font-size": FONT + 1 },
      fit(options.title, plan.width - 16, FONT + 1),
    ),
    axes(plan, options),
    svg("clipPath", { id: clip }, svg("rect", plan.box)),
    svg(
      "g",
      { "clip-path": `url(#${clip})` },
      options.series.map((series) => band(plan, series)),
      options.series.map((series) => line(plan, series)),
    ),
    options.series.map((series) => markers(plan, series)),
    rules(plan, options),
    (options.marks ?? []).map((mark) => ring(plan, mark)),
    legend(plan),
  );
  addReading(chart, plan, options);
  return chart;
}

function axes({ box, xTicks, yTicks, xLabelY, slanted }, { x, y }) {
  const bottom = box.y + box.height;
  const right = box.x + box.width;
  const middle = box.y + box.height / 2;
  return svg(
    "g",
    { stroke: "none" },
    yTicks.map(({ at, label }) => [
      svg("line", {
        x1: box.x, x2: right, y1: at, y2: at, stroke: "var(--line)",
      }),
      svg("text", { x: box.x - 6, y: at + 4, "text-anchor": "end" }, label),
    ]),
    xTicks.map(({ at, label }) => [
      svg("line", {
        x1: at, x2: at, y1: bottom, y2: bottom + 4, stroke: GREY,
      }),
      svg(
        "text",
        slanted
          ? {
              "text-anchor": "end",
              transform: `translate(${at + 4} ${bottom + 12}) rotate(-40)`,
            }
          : { x: at, y: bottom + 16, "text-anchor": "middle" },
        label,
      ),
    ]),
    svg("line", {
      x1: box.x, x2: right, y1: bottom, y2: bottom, stroke: GREY,
    }),
    svg(
      "text",
      { x: (box.x + right) / 2, y: xLabelY, "text-anchor": "middle", fill: GREY },
      x.label,
    ),
    svg(
      "text",
      {
        "text-anchor": "middle",
        fill: GREY,
        transform: `translate(13 ${middle}) rotate(-90)`,
      },
      fit(y.label, box.height + 40),
    ),
  );
}

function band(plan, { color, points, low, high }) {
  if (!low || !high) return null;
  return runsOf(points, (i) => isNumber(low[i]) && isNumber(high[i])).map(
    (indices) => {
      const edge = (ends) => (i) => at(plan, points[i][0], ends[i]);
      const outline = [
        ...indices.map(edge(high)),
        ...indices.toReversed().map(edge(low)),
      ];
      return svg("path", {
        d: `M${outline.join("L")}Z`,
        fill: color,
        opacity: 0.16,
      });
    },
  );
}

function line(plan, series) {
  if (series.line === false) return null;
  const { points } = series;
  const d = runsOf(points, (i) => isNumber(points[i][1]))
    .map((indices) => {
      const places = indices.map((i) => at(plan, ...points[i]));
      return `M${places.join("L")}`;
    })
    .join("");
  return svg("path", { d, ...strokeOf(series) });
}

function strokeOf({ color, dash, width = 2, opacity = 1 }) {
  return {
    fill: "none",
    stroke: color,
    "stroke-width": width,
    "stroke-dasharray": dash || null,
    opacity,
  };
}

/** Runs of neighbouring places at which something holds. */
function runsOf(points, holds) {
  const runs = [];
  points.forEach((_, i) => {
    if (!holds(i)) return;
    if (i > 0 && runs.length > 0 && runs.at(-1).at(-1) === i - 1) {
      runs.at(-1).push(i);
    } else runs.push([i]);
  });
  return runs;
}

function markers(plan, { color, marker, points, line = true, opacity = 1 }) {
  if (!marker) return null;
  // Without a line the points are the data; on one they tell it from others.
  const stride = line ? Math.ceil(points.length / MOST_MARKERS) : 1;
  const d = points
    .filter(([, y], i) => isNumber(y) && i % stride === 0)
    .map(([x, y]) => markerPath(marker, plan.x.position(x), plan.y.position(y), 4))
    .join("");
  return svg("path", { d, fill: color, opacity });
}

function rules({ box, y }, options) {
  return (options.rules ?? []).map((rule) => {
    const height = y.position(rule.y);
    return svg(
      "g",
      {},
      svg("line", {
        x1: box.x,
        x2: box.x + box.width,
        y1: height,
        y2: height,
        stroke: GREY,
        "stroke-dasharray": "6 4",
      }),
      svg("text", { x: box.x + 4, y: height - 4, fill: GREY }, rule.label),
    );
  });
}

function ring({ x, y, box }, mark) {
  const [cx, cy] = [x.position(mark.x), y.position(mark.y)];
  return svg(
    "g",
    { class: "mark" },
    svg("line", {
      x1: cx,
      x2: cx,
      y1: cy,
      y2: box.y + box.height,
      stroke: mark.color,
      "stroke-dasharray": "1 3",
    }),
    svg("circle", {
      cx,
      cy,
      r: 7,
      fill: "none",
      stroke: mark.color,
      "stroke-width": 1.5,
    }),
    svg("title", {}, mark.text),
  );
}

function legend({ entries }) {
  return svg(
    "g",
    { class: "legend" },
    entries.map(({ x, y, label, series }) => [
      series.low &&
        svg("rect", {
          x,
          y: y - 9,
          width: SWATCH - 6,
          height: 10,
          fill: series.color,
          opacity: 0.16,
        }),
      series.line === false
        ? null
        : svg("line", {
            x1: x,
            x2: x + SWATCH - 6,
            y1: y - 4,
            y2: y - 4,
            ...strokeOf(series),
          }),
      series.marker &&
        svg("path", {
          d: markerPath(series.marker, x + (SWATCH - 6) / 2, y - 4, 4),
          fill: series.color,
        }),
      svg("text", { x: x + SWATCH, y }, label),
    ]),
  );
}

function at({ x, y }, dataX, dataY) {
  return `${fixed(x.position(dataX))} ${fixed(y.position(dataY))}`;
}

function describe({ title, x, y, series }) {
  const names = series.filter((s) => s.inLegend !== false).map((s) => s.label);
  return (
    `${title}. ${y.label} against ${x.label}. ` +
    `${count(names.length, "series", "series")}: ${names.join("; ")}. ` +
    "Arrow keys read the points."
  );
}


/** @file What is said of a point: beside it, and to screen readers. */

import { GREY } from "./colors.js";
import { svg } from "./dom.js";
import { interval, isNumber, number } from "./format.js";
import { CHARACTER, LINE, fit } from "./layout.js";

/** The lines of text for a point, unless its series has its own. */
function textOf({ x, y }, series, index) {
  if (series.read) return series.read(index);
  const [dataX, dataY] = series.points[index];
  const place = x.categories?.[dataX] ?? `${x.label} ${number(dataX, 0)}`;
  const value = interval({
    mean: dataY,
    low: series.low?.[index],
    high: series.high?.[index],
  });
  return [series.label, `${place}: ${y.label} ${value}`];
}

/**
 * Points out what is under the pointer, or where the arrow keys have come.
 *
 * @param {SVGSVGElement} chart
 * @param {Object} plan Of `layout`.
 * @param {Object} options As those of `lineChart`.
 */
export function addReading(chart, plan, options) {
  const places = options.series.flatMap((series) =>
    series.silent
      ? []
      : [
          series.points
            .map(([x, y], index) => ({
              x: plan.x.position(x),
              y: isNumber(y) ? plan.y.position(y) : null,
              index,
              series,
            }))
            .filter((place) => place.y !== null),
        ],
  ).filter((row) => row.length > 0);
  if (places.length === 0) return;
  const all = places.flat();
  const layer = svg("g", { class: "reading no-export" });
  chart.append(layer);
  let [row, column] = [0, -1];

  const clear = () => {
    column = -1;
    layer.replaceChildren();
  };
  const show = () => {
    const place = places[row][column];
    const lines = textOf(options, place.series, place.index);
    layer.replaceChildren(
      svg("circle", {
        cx: place.x,
        cy: place.y,
        r: 6,
        fill: "none",
        stroke: "var(--focus)",
        "stroke-width": 2,
      }),
      readingBox(lines, place, plan.width),
    );
    return lines;
  };
  const nearest = (candidates, x, y) => {
    const distances = candidates.map((place) =>
      Math.hypot(place.x - x, place.y - y),
    );
    return distances.indexOf(Math.min(...distances));
  };

  chart.addEventListener("pointermove", (event) => {
    const { left, top } = chart.getBoundingClientRect();
    const [x, y] = [event.clientX - left, event.clientY - top];
    const place = all[nearest(all, x, y)];
    if (Math.hypot(place.x - x, place.y - y) > 40) return clear();
    row = places.findIndex((candidates) => candidates.includes(place));
    column = places[row].indexOf(place);
    return show();
  });
  chart.addEventListener("pointerleave", clear);
  chart.addEventListener("blur", clear);
  chart.addEventListener("keydown", (event) => {
    if (event.key === "Escape") return clear();
    const move = MOVES[event.key];
    if (!move) return undefined;
    event.preventDefault();
    if (column < 0) column = 0;
    else if (move.along) {
      const last = places[row].length - 1;
      column = Math.min(Math.max(column + move.along, 0), last);
    } else {
      const { x, y } = places[row][column];
      row = (row + move.across + places.length) % places.length;
      column = nearest(places[row].map((p) => ({ ...p, y })), x, y);
    }
    return options.announce(show().join(", "));
  });
}

const MOVES = {
  ArrowLeft: { along: -1 },
  ArrowRight: { along: 1 },
  Home: { along: -Infinity },
  End: { along: Infinity },
  ArrowUp: { across: -1 },
  ArrowDown: { across: 1 },
};

/**
 * Lines of text in a box beside a place, within a width.
 *
 * @param {string[]} lines
 * @param {{x: number, y: number}} place In pixels.
 * @param {number} width Of the drawing.
 * @returns {SVGGElement}
 */
export function readingBox(lines, place, width) {
  const shown = lines.map((text) => fit(text, width - 20));
  const longest = Math.max(...shown.map((text) => text.length));
  const boxWidth = longest * CHARACTER + 12;
  const height = lines.length * LINE + 6;
  const x = Math.min(Math.max(place.x + 10, 2), width - boxWidth - 2);
  const above = place.y - height - 10;
  const y = above > 2 ? above : place.y + 12;
  return svg(
    "g",
    { "pointer-events": "none" },
    svg("rect", {
      x,
      y,
      width: boxWidth,
      height,
      rx: 3,
      fill: "var(--surface)",
      stroke: GREY,
    }),
    shown.map((text, i) =>
      svg("text", { x: x + 6, y: y + LINE * (i + 1) - 1 }, text),
    ),
  );
}

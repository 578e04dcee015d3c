/** @file A matrix of scores as a heat map: read, walked through, redrawn fast. */

import { GREY, isDark } from "./colors.js";
import { svg, uniqueId } from "./dom.js";
import { count, isNumber } from "./format.js";
import { CHARACTER, FONT, LINE, fit } from "./layout.js";
import {
  HATCHED_CELL,
  cellAt,
  cellText,
  colorOf,
  marksPath,
  matrixPlan,
  pixels,
} from "./matrix.js";
import { readingBox } from "./reading.js";
import { extent, linearScale, tickLabels } from "./scale.js";

/**
 * @typedef {Object} HeatmapState What changes from step to step.
 * @property {string} title
 * @property {Array<Array<?number>>} values `[rows][columns]`
 * @property {?Array<Array<?number>>} nulls Levels of unrelated images.
 * @property {boolean[][]} marked Cells that are not above their level.
 * @property {[number, number]} domain Scores of the first and last colour.
 * @property {?{axis: "row"|"column", index: number}} selected
 */

/**
 * Draws a heat map: axes in SVG, all cells one image.
 *
 * With the focus on it, arrow keys walk through the cells and onto the names of
 * rows (left of the first column) and columns (below the last row); Enter opens
 * a profile.
 *
 * @param {Object} options
 * @param {{title: string, layers: string[]}} options.rows
 * @param {{title: string, layers: string[]}} options.columns
 * @param {number} options.width In pixels.
 * @param {"viridis"|"diverging"} options.colormap
 * @param {string} options.scaleTitle Of the colour scale.
 * @param {string} options.markedTitle Of marked cells, in the legend.
 * @param {function(number, number): string[]} options.read Lines of text for a
 *     cell, by row and column.
 * @param {function("row"|"column", number): void} options.onSelect
 * @param {function(string): void} options.announce For screen readers.
 * @param {HeatmapState} state
 * @returns {{node: SVGSVGElement, update: function(HeatmapState): void}}
 */
export function heatmap(options, state) {
  const { rows, columns } = options;
  const plan = matrixPlan({
    rows: rows.layers,
    columns: columns.layers,
    width: options.width,
  });
  const { box } = plan;
  const hatch = uniqueId("hatch");
  const parts = {
    title: svg("text", { x: 8, y: LINE, "font-weight": "bold" }),
    image: svg("image", {
      ...box,
      preserveAspectRatio: "none",
      style: { "image-rendering": "pixelated" },
    }),
    marks: ["black", "white"].map((stroke, i) =>
      svg("path", {
        fill: "none",
        stroke,
        "stroke-width": i === 0 ? 2.5 : 1,
        "stroke-opacity": i === 0 ? 0.6 : 1,
      }),
    ),
    numbers: svg("g", { "text-anchor": "middle", "font-size": FONT - 1 }),
    selection: svg("g"),
    scale: svg("g"),
    legend: svg("g"),
    reading: svg("g", { class: "reading no-export" }),
  };
  const node = svg(
    "svg",
    {
      width: plan.width,
      height: plan.height,
      viewBox: `0 0 ${plan.width} ${plan.height}`,
      "font-size": FONT,
      fill: "currentColor",
      class: "heatmap",
      tabindex: 0,
      role: "application",
      "aria-roledescription": "heat map",
    },
    hatchPattern(hatch),
    parts.title,
    svg("rect", { ...box, fill: `url(#${hatch})`, stroke: "var(--line)" }),
    parts.image,
    parts.marks,
    parts.numbers,
    frame(plan, rows, columns),
    parts.selection,
    parts.scale,
    parts.legend,
    parts.reading,
  );
  const canvas = document.createElement("canvas");
  canvas.width = columns.layers.length;
  canvas.height = rows.layers.length;
  const context = canvas.getContext("2d");

  const update = (next) => {
    const image = context.createImageData(canvas.width, canvas.height);
    image.data.set(pixels(next.values, options.colormap, next.domain));
    context.putImageData(image, 0, 0);
    parts.image.setAttribute("href", canvas.toDataURL());
    const d = marksPath(next.marked, { ...box, cell: plan.cell });
    for (const path of parts.marks) path.setAttribute("d", d);
    parts.title.textContent = fit(next.title, plan.width - 16);
    parts.numbers.replaceChildren(...numbers(plan, options, next));
    parts.selection.replaceChildren(...selection(plan, options, next));
    parts.scale.replaceChildren(...scale(plan, options, next));
    parts.legend.replaceChildren(...legend(plan, options, next, hatch));
    node.setAttribute("aria-label", describe(options, next));
  };
  update(state);
  addCursor(node, parts.reading, plan, options);
  return { node, update };
}

function hatchPattern(id) {
  return svg(
    "pattern",
    { id, width: 5, height: 5, patternUnits: "userSpaceOnUse" },
    svg("path", { d: "M0 5L5 0", stroke: GREY, "stroke-width": 1 }),
  );
}

function frame({ box, rowLabels, columnLabels, columnTitleY }, rows, columns) {
  const bottom = box.y + box.height;
  const middle = box.x + box.width / 2;
  return svg(
    "g",
    {},
    rowLabels.map(({ at, label }) =>
      svg(
        "text",
        {
          x: box.x - 6,
          y: box.y + at + 4,
          "text-anchor": "end",
          style: { cursor: "pointer" },
        },
        label,
      ),
    ),
    columnLabels.map(({ at, label }) =>
      svg(
        "text",
        {
          "text-anchor": "end",
          transform: `translate(${box.x + at + 4} ${bottom + 11}) rotate(-40)`,
          style: { cursor: "pointer" },
        },
        label,
      ),
    ),
    svg(
      "text",
      {
        "text-anchor": "middle",
        fill: GREY,
        transform: `translate(12 ${box.y + box.height / 2}) rotate(-90)`,
      },
      fit(rows.title, box.height + 50),
    ),
    svg(
      "text",
      { x: middle, y: columnTitleY, "text-anchor": "middle", fill: GREY },
      fit(columns.title, 2 * middle - 16),
    ),
  );
}

function numbers({ box, cell, showsNumbers }, { colormap }, state) {
  if (!showsNumbers) return [];
  return state.values.flatMap((row, r) =>
    row.map((value, c) =>
      svg(
        "text",
        {
          x: box.x + (c + 0.5) * cell,
          y: box.y + (r + 0.5) * cell + 4,
          fill:
            isNumber(value) && isDark(colorOf(colormap, value, state.domain))
              ? "white"
              : "black",
        },
        cellText(value, colormap),
      ),
    ),
  );
}

function selection({ box, cell }, { rows, columns }, { selected }) {
  if (!selected) return [];
  const { axis, index } = selected;
  const along = index * cell;
  return [
    svg("rect", {
      fill: "none",
      stroke: "var(--accent)",
      "stroke-width": 2.5,
      ...(axis === "row"
        ? { x: box.x, y: box.y + along, width: box.width, height: cell }
        : { x: box.x + along, y: box.y, width: cell, height: box.height }),
    }),
    svg(
      "title",
      {},
      `Profile of ${(axis === "row" ? rows : columns).layers[index]}`,
    ),
  ];
}

/** The colour scale, and where on it the null levels lie. */
function scale({ bar }, { colormap, scaleTitle }, { domain, nulls }) {
  const place = linearScale(domain, [bar.y + bar.height, bar.y]);
  const ticks = place.ticks(4);
  const labels = tickLabels(ticks);
  const levels = nulls ? extent(nulls.flat()) : null;
  const clipped = levels?.map((level) =>
    place.position(Math.min(Math.max(level, domain[0]), domain[1])),
  );
  return [
    svg("image", {
      ...bar,
      href: barImage(colormap),
      preserveAspectRatio: "none",
    }),
    ...ticks.map((value, i) =>
      svg(
        "text",
        { x: bar.x + bar.width + 5, y: place.position(value) + 4 },
        labels[i],
      ),
    ),
    ...nullBracket(bar, place, domain, nulls),
    svg(
      "text",
      {
        "text-anchor": "middle",
        fill: GREY,
        transform:
          `translate(${bar.x + bar.width + 52} ${bar.y + bar.height / 2}) ` +
          "rotate(-90)",
      },
      fit(scaleTitle, bar.height + 20),
    ),
  ];
}

function nullBracket(bar, place, domain, nulls) {
  const levels = nulls && extent(nulls.flatMap((row) => extent(row) ?? []));
  if (!levels) return [];
  const [low, high] = levels.map((level) =>
    place.position(Math.min(Math.max(level, domain[0]), domain[1])),
  );
  return [
    svg("path", {
      d: `M${bar.x} ${low + 0.5}h-5V${high - 0.5}h5`,
      fill: "none",
      stroke: "currentColor",
    }),
    svg(
      "text",
      { x: bar.x - 8, y: (low + high) / 2 + 4, "text-anchor": "end" },
      "null",
    ),
  ];
}

const bars = {};

function barImage(colormap) {
  if (!bars[colormap]) {
    const canvas = document.createElement("canvas");
    canvas.width = 1;
    canvas.height = 128;
    const context = canvas.getContext("2d");
    const image = context.createImageData(1, 128);
    const values = Array.from({ length: 128 }, (_, i) => [1 - i / 127]);
    image.data.set(pixels(values, colormap, [0, 1]));
    context.putImageData(image, 0, 0);
    bars[colormap] = canvas.toDataURL();
  }
  return bars[colormap];
}

function legend({ legendY, cell }, options, { values, marked }, hatch) {
  const swatch = { y: legendY - 10, width: 13, height: 13 };
  const entries = [];
  if (marked.some((row) => row.includes(true))) {
    const [red, green, blue] = colorOf(options.colormap, 0.2, [0, 1]);
    entries.push([
      options.markedTitle,
      (x) => [
        svg("rect", { x, ...swatch, fill: `rgb(${red}, ${green}, ${blue})` }),
        svg("path", {
          d:
            cell >= HATCHED_CELL
              ? `M${x + 3} ${legendY}l7 -7`
              : `M${x + 2} ${legendY - 8}h9v9h-9Z`,
          fill: "none",
          stroke: "white",
        }),
      ],
    ]);
  }
  if (values.some((row) => !row.every(isNumber))) {
    entries.push([
      "undefined",
      (x) => svg("rect", { x, ...swatch, fill: `url(#${hatch})`, stroke: GREY }),
    ]);
  }
  let x = 8;
  return entries.flatMap(([label, draw]) => {
    const entry = [draw(x), svg("text", { x: x + 20, y: legendY }, label)];
    x += 20 + label.length * CHARACTER + 18;
    return entry.flat();
  });
}

function describe({ rows, columns }, { title, values, marked }) {
  const size =
    `${count(rows.layers.length, "row")}, ${rows.title}, ` +
    `${count(columns.layers.length, "column")}, ${columns.title}`;
  const undefinedCells = countIf(values, (value) => !isNumber(value));
  const withinNull = countIf(marked, (isMarked) => isMarked);
  return (
    `${title}. Heat map of ${size}. ${withinNull} not above the null level, ` +
    `${undefinedCells} undefined. Arrow keys read the cells; Enter opens the ` +
    "profile of a row, or of the row or column whose name was reached."
  );
}

function countIf(rows, holds) {
  let found = 0;
  for (const row of rows) for (const cell of row) if (holds(cell)) found += 1;
  return found;
}

/** A cursor that pointer and arrow keys move, over cells and names. */
function addCursor(node, layer, plan, options) {
  const { box, cell } = plan;
  const names = { row: options.rows.layers, column: options.columns.layers };
  const [numRows, numColumns] = [names.row.length, names.column.length];
  let cursor = null;

  const clear = () => {
    cursor = null;
    layer.replaceChildren();
  };
  /** The row or column that a place stands for. */
  const target = ({ row, column }) =>
    row === numRows ? ["column", column] : ["row", row];
  const isName = ({ row, column }) => row === numRows || column < 0;
  const show = (next) => {
    cursor = next;
    const { row, column } = next;
    const [axis, index] = target(next);
    const lines = isName(next)
      ? [names[axis][index], `${axis}: Enter or click opens its profile`]
      : options.read(row, column);
    const x = box.x + column * cell;
    const y = box.y + row * cell;
    const place = { x, y, width: cell, height: cell };
    if (column < 0) Object.assign(place, { x: box.x - 4, width: 4 });
    if (row === numRows) place.height = 4;
    layer.replaceChildren(
      svg("rect", {
        ...place,
        fill: "none",
        stroke: "var(--focus)",
        "stroke-width": 3,
      }),
      readingBox(lines, { x: x + cell, y }, plan.width),
    );
    return lines;
  };
  const under = (event) => {
    const { left, top } = node.getBoundingClientRect();
    const [x, y] = [event.clientX - left, event.clientY - top];
    return cellAt(plan, numRows, numColumns, x, y);
  };

  node.addEventListener("pointermove", (event) => {
    const found = under(event);
    if (found) show(found);
    else clear();
  });
  node.addEventListener("pointerleave", clear);
  node.addEventListener("blur", clear);
  node.addEventListener("click", (event) => {
    const found = under(event);
    if (found) options.onSelect(...target(found));
  });
  node.addEventListener("keydown", (event) => {
    if (event.key === "Escape") clear();
    else if (event.key === "Enter" && cursor) {
      options.onSelect(...target(cursor));
    } else if (MOVES[event.key]) {
      event.preventDefault();
      const next = cursor
        ? moved(cursor, MOVES[event.key], numRows, numColumns)
        : { row: 0, column: 0 };
      options.announce(show(next).join(", "));
    }
  });
}

const MOVES = {
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  Home: [0, -Infinity],
  End: [0, Infinity],
};

function moved({ row, column }, [down, right], numRows, numColumns) {
  const clamp = (x, low, high) => Math.min(Math.max(x, low), high);
  const lastRow = column < 0 ? numRows - 1 : numRows;
  const firstColumn = row === numRows ? 0 : -1;
  return {
    row: clamp(row + down, 0, lastRow),
    column: clamp(column + right, firstColumn, numColumns - 1),
  };
}

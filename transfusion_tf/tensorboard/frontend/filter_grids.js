/** @file Filters before, after and their difference: three linked grids. */

import { GREY } from "./colors.js";
import { svg } from "./dom.js";
import { integer, number } from "./format.js";
import { gridOf, gridPixels, scalesOf } from "./kernels.js";
import { FONT, LINE, fit } from "./layout.js";
import { readingBox } from "./reading.js";

const GAP = 18;
const MARGIN = 8;
const LARGEST_GRID = 420;
const GRIDS = ["before", "after", "delta"];

/**
 * Draws the three grids. With the focus on it arrow keys go from filter to
 * filter; the same filter is framed in all three.
 *
 * @param {Object} options
 * @param {string} options.title
 * @param {Array} options.filters Of `describeFilters`, in the order shown.
 * @param {[number, number, number]} options.shape Height, width, channels.
 * @param {string} options.normalization Of `NORMALIZATIONS`.
 * @param {string} options.caption How weights became colours, for an export.
 * @param {string[]} options.headings Of the three grids.
 * @param {number} options.width In pixels.
 * @param {function(string): void} options.announce For screen readers.
 * @returns {SVGSVGElement}
 */
export function filterGrids(options) {
  const { filters, shape, width } = options;
  const grid = gridOf(filters.length, shape[0], shape[1]);
  const room = (width - 2 * MARGIN - 2 * GAP) / 3;
  const unit = Math.min(room, LARGEST_GRID) / grid.width;
  const size = { width: unit * grid.width, height: unit * grid.height };
  const top = 3 * LINE;
  const left = (place) => MARGIN + place * (size.width + GAP);
  const height = top + size.height + LINE + 10;
  const reading = svg("g", { class: "reading no-export" });
  const node = svg(
    "svg",
    {
      width,
      height,
      viewBox: `0 0 ${width} ${height}`,
      "font-size": FONT,
      fill: "currentColor",
      class: "filters",
      tabindex: 0,
      role: "application",
      "aria-roledescription": "grids of filters",
      "aria-label":
        `${options.title}. ${filters.length} filters: ` +
        `${options.headings.join(", ")}. Arrow keys read the filters.`,
    },
    svg(
      "text",
      { x: MARGIN, y: LINE, "font-weight": "bold" },
      fit(options.title, width - 2 * MARGIN),
    ),
    GRIDS.map((name, place) => [
      svg("text", { x: left(place), y: top - 6 }, options.headings[place]),
      svg("image", {
        x: left(place),
        y: top,
        ...size,
        href: imageOf(filters, name, options),
        preserveAspectRatio: "none",
        style: { "image-rendering": "pixelated" },
      }),
    ]),
    svg(
      "text",
      { x: MARGIN, y: height - 8, fill: GREY },
      fit(`Colours: ${options.caption}`, width - 2 * MARGIN),
    ),
    reading,
  );
  addCursor(node, reading, options, {
    columns: grid.columns,
    pitch: [unit * (shape[1] + 1), unit * (shape[0] + 1)],
    tile: [unit * shape[1], unit * shape[0]],
    left,
    top,
    size,
  });
  return node;
}

function imageOf(filters, name, { shape, normalization }) {
  const grid = gridOf(filters.length, shape[0], shape[1]);
  const canvas = document.createElement("canvas");
  canvas.width = grid.width;
  canvas.height = grid.height;
  const context = canvas.getContext("2d");
  const image = context.createImageData(grid.width, grid.height);
  const weights = filters.map((filter) => filter[name]);
  const scales = scalesOf(filters, name, normalization);
  image.data.set(gridPixels(weights, scales, shape));
  context.putImageData(image, 0, 0);
  return canvas.toDataURL();
}

function readFilter(filter, place, count) {
  return [
    `filter ${filter.index} (${place + 1} of ${count})`,
    `norm ${number(filter.normBefore)} before, ${number(filter.normAfter)} after`,
    `change ${number(filter.change)}, correlation ${number(filter.correlation)}`,
  ];
}

function addCursor(node, layer, { filters, width, announce }, grids) {
  const { columns, pitch, tile, left, top, size } = grids;
  let cursor = -1;
  const clear = () => {
    cursor = -1;
    layer.replaceChildren();
  };
  const show = (place, inGrid = 0) => {
    cursor = place;
    const x = (place % columns) * pitch[0];
    const y = top + Math.floor(place / columns) * pitch[1];
    const lines = readFilter(filters[place], place, filters.length);
    layer.replaceChildren(
      ...GRIDS.map((_, i) =>
        svg("rect", {
          x: left(i) + x - 1,
          y: y - 1,
          width: tile[0] + 2,
          height: tile[1] + 2,
          fill: "none",
          stroke: "var(--focus)",
          "stroke-width": 3,
        }),
      ),
      readingBox(lines, { x: left(inGrid) + x + tile[0], y }, width),
    );
    return lines;
  };
  const under = (event) => {
    const bounds = node.getBoundingClientRect();
    const [x, y] = [event.clientX - bounds.left, event.clientY - bounds.top];
    const inGrid = GRIDS.findIndex(
      (_, i) => x >= left(i) && x < left(i) + size.width,
    );
    if (inGrid < 0 || y < top || y >= top + size.height) return null;
    const column = Math.floor((x - left(inGrid)) / pitch[0]);
    const row = Math.floor((y - top) / pitch[1]);
    const place = row * columns + column;
    return place < filters.length ? { place, inGrid } : null;
  };

  node.addEventListener("pointermove", (event) => {
    const found = under(event);
    if (found) show(found.place, found.inGrid);
    else clear();
  });
  node.addEventListener("pointerleave", clear);
  node.addEventListener("blur", clear);
  node.addEventListener("keydown", (event) => {
    if (event.key === "Escape") return clear();
    const by = {
      ArrowLeft: -1,
      ArrowRight: 1,
      ArrowUp: -columns,
      ArrowDown: columns,
      Home: -Infinity,
      End: Infinity,
    }[event.key];
    if (by === undefined) return undefined;
    event.preventDefault();
    const last = filters.length - 1;
    const place = cursor < 0 ? 0 : Math.min(Math.max(cursor + by, 0), last);
    return announce(show(place).join(", "));
  });
}

/**
 * @param {number} first Step of the first grid.
 * @param {number} last Step of the second.
 * @returns {string[]} Headings of the three grids.
 */
export function headingsOf(first, last) {
  return [
    first === 0 ? "before training (step 0)" : `step ${integer(first)}`,
    `after (step ${integer(last)})`,
    "difference: after − before",
  ];
}

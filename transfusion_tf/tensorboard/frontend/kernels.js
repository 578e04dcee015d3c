/** @file Filters of a convolution as colours and numbers; pure, no element. */

import { isNumber } from "./format.js";

/**
 * How weights become colours, to choose from and in a sentence. In differences
 * no change is always mid grey.
 */
export const NORMALIZATIONS = Object.freeze({
  filter: {
    label: "per filter",
    caption: "each filter from its smallest to its largest weight",
  },
  shared: {
    label: "shared by all filters",
    caption: "from the smallest to the largest weight of all filters",
  },
  symmetric: {
    label: "symmetric around 0",
    caption: "weight 0 in mid grey, one scale for all three grids",
  },
});

/** Orders in which filters are shown. */
export const ORDERS = Object.freeze({
  change: { label: "largest change first" },
  norm: { label: "largest norm first" },
  original: { label: "as in the model" },
});

/**
 * What is known of each filter before and after training.
 *
 * @param {number[][][][]} before `[filters, height, width, channels]`
 * @param {number[][][][]} after Of the same shape.
 * @returns {Array<{index: number, before: number[], after: number[], delta:
 *     number[], normBefore: number, normAfter: number, change: number,
 *     relative: ?number, correlation: ?number}>} Weights in a row; `change` is the
 *     norm of the difference, `relative` to the norm before.
 */
export function describeFilters(before, after) {
  return before.map((filter, index) => {
    const x = filter.flat(2);
    const y = after[index].flat(2);
    const delta = x.map((value, i) => y[i] - value);
    const [normBefore, normAfter, change] = [x, y, delta].map(norm);
    return {
      index,
      before: x,
      after: y,
      delta,
      normBefore,
      normAfter,
      change,
      relative: normBefore > 0 ? change / normBefore : null,
      correlation: correlation(x, y),
    };
  });
}

function norm(values) {
  return Math.sqrt(values.reduce((sum, v) => sum + v * v, 0));
}

/**
 * Pearson's correlation.
 *
 * @param {number[]} x
 * @param {number[]} y As many.
 * @returns {?number} From -1 to 1; null where one of them is constant.
 */
export function correlation(x, y) {
  const centred = (values) => {
    const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
    return values.map((v) => v - mean);
  };
  const [a, b] = [centred(x), centred(y)];
  const product = a.reduce((sum, v, i) => sum + v * b[i], 0);
  const found = product / (norm(a) * norm(b));
  return isNumber(found) ? Math.min(Math.max(found, -1), 1) : null;
}

/**
 * The order in which filters are shown.
 *
 * @param {Array} filters Of `describeFilters`.
 * @param {string} order Of `ORDERS`.
 * @returns {Array} The same in another order.
 */
export function sortFilters(filters, order) {
  if (order === "original") return [...filters];
  const size = order === "norm" ? "normAfter" : "change";
  return [...filters].sort((a, b) => b[size] - a[size]);
}

/**
 * Ends of the grey scale for each filter of a grid.
 *
 * @param {Array} filters Of `describeFilters`.
 * @param {"before"|"after"|"delta"} grid
 * @param {string} normalization Of `NORMALIZATIONS`.
 * @returns {Array<[number, number]>} Weights shown black and white, a filter.
 */
export function scalesOf(filters, grid, normalization) {
  const ends = (values) => [least(values), most(values)];
  const around = (values) => {
    const size = Math.max(-least(values), most(values));
    return [-size, size];
  };
  const weights = filters.flatMap(({ before, after }) => [before, after]);
  if (normalization === "symmetric") {
    const shared = around(weights.flat());
    return filters.map(() => shared);
  }
  if (normalization === "shared") {
    const shared =
      grid === "delta"
        ? around(filters.flatMap(({ delta }) => delta))
        : ends(weights.flat());
    return filters.map(() => shared);
  }
  return filters.map((filter) =>
    grid === "delta" ? around(filter.delta) : ends(filter[grid]),
  );
}

function least(values) {
  return values.reduce((a, b) => Math.min(a, b), Infinity);
}

function most(values) {
  return values.reduce((a, b) => Math.max(a, b), -Infinity);
}

/**
 * Where the filters of a grid stand: a square as near as may be, with a pixel
 * between filters.
 *
 * @param {number} count
 * @param {number} height Of a filter, in weights.
 * @param {number} width
 * @returns {{columns: number, rows: number, width: number, height: number}} Of
 *     the image, in pixels of one weight.
 */
export function gridOf(count, height, width) {
  const columns = Math.ceil(Math.sqrt(count));
  const rows = Math.ceil(count / columns);
  return {
    columns,
    rows,
    width: columns * (width + 1) - 1,
    height: rows * (height + 1) - 1,
  };
}

/**
 * The picture of a grid: a pixel a weight, transparent between the filters.
 *
 * @param {number[][]} filters Weights of each, `[height * width * channels]`.
 * @param {Array<[number, number]>} scales Of `scalesOf`.
 * @param {[number, number, number]} shape Height, width, channels: 3 are red,
 *     green and blue; of any other number the mean is shown in grey.
 * @returns {Uint8ClampedArray} Red, green, blue, alpha.
 */
export function gridPixels(filters, scales, [height, width, channels]) {
  const grid = gridOf(filters.length, height, width);
  const data = new Uint8ClampedArray(grid.width * grid.height * 4);
  filters.forEach((weights, place) => {
    const left = (place % grid.columns) * (width + 1);
    const top = Math.floor(place / grid.columns) * (height + 1);
    const [low, high] = scales[place];
    const shade = (value) =>
      high > low ? (255 * (value - low)) / (high - low) : 127.5;
    for (let y = 0; y < height; y += 1) {
      for (let x = 0; x < width; x += 1) {
        const from = (y * width + x) * channels;
        const pixel = weights.slice(from, from + channels);
        const to = ((top + y) * grid.width + left + x) * 4;
        data.set([...colorOf(pixel, shade), 255], to);
      }
    }
  });
  return data;
}

function colorOf(pixel, shade) {
  if (pixel.length === 3) return pixel.map(shade);
  const grey = shade(pixel.reduce((sum, v) => sum + v, 0) / pixel.length);
  return [grey, grey, grey];
}

/**
 * The mean of what is known of all filters.
 *
 * @param {Array} filters Of `describeFilters`.
 * @param {"relative"|"correlation"} key
 * @returns {?number} Of those where it is defined; null if nowhere.
 */
export function meanOf(filters, key) {
  const values = filters.map((filter) => filter[key]).filter(isNumber);
  return values.length > 0
    ? values.reduce((sum, v) => sum + v, 0) / values.length
    : null;
}

/** @file From numbers to pixels and back, and where the ticks stand. */

import { isNumber, number } from "./format.js";

/**
 * @typedef {Object} Scale
 * @property {[number, number]} domain In units of the data.
 * @property {[number, number]} range In pixels; may run downwards.
 * @property {function(number): number} position Data to pixels.
 * @property {function(number): number} value Pixels to data.
 * @property {function(number): number[]} ticks About so many, within the domain.
 */

/**
 * A scale on which equal differences have equal lengths.
 *
 * @param {[number, number]} domain Its ends differ.
 * @param {[number, number]} range
 * @returns {Scale}
 */
export function linearScale(domain, range) {
  return scale(domain, range, (x) => x, (x) => x, ticks);
}

/**
 * A scale of log(1 + x) for training steps: step 0, where the paper's
 * comparisons begin, has a place, and late steps lie as on a log scale.
 *
 * @param {[number, number]} domain From 0 up; its ends differ.
 * @param {[number, number]} range
 * @returns {Scale}
 */
export function logScale(domain, range) {
  return scale(domain, range, Math.log1p, Math.expm1, logTicks);
}

function scale(domain, range, forward, backward, makeTicks) {
  const [low, high] = domain.map(forward);
  const [start, end] = range;
  return {
    domain,
    range,
    position: (x) =>
      start + ((forward(x) - low) / (high - low)) * (end - start),
    value: (pixel) =>
      backward(low + ((pixel - start) / (end - start)) * (high - low)),
    ticks: (count) => makeTicks(domain[0], domain[1], count),
  };
}

/**
 * Multiples of 1, 2 or 5 times a power of ten within an interval.
 *
 * @param {number} low
 * @param {number} high Greater than `low`.
 * @param {number} count About how many are wanted, at least 1.
 * @returns {number[]} Rising.
 */
export function ticks(low, high, count) {
  const { factor, exponent } = tickStep(low, high, count);
  // Dividing by a power of ten is exact where multiplying is not: 3 * 0.1.
  const at = (i) =>
    exponent < 0 ? (i * factor) / 10 ** -exponent : i * factor * 10 ** exponent;
  const slack = 1e-9;
  const first = Math.ceil(low / at(1) - slack);
  const last = Math.floor(high / at(1) + slack);
  return Array.from({ length: last - first + 1 }, (_, i) => at(first + i) + 0);
}

function tickStep(low, high, count) {
  const rough = (high - low) / count;
  const exponent = Math.floor(Math.log10(rough));
  const leading = rough / 10 ** exponent;
  if (leading >= 7.07) return { factor: 1, exponent: exponent + 1 };
  if (leading >= 3.16) return { factor: 5, exponent };
  return { factor: leading >= 1.41 ? 2 : 1, exponent };
}

/**
 * Ticks for `logScale`: 0 and powers of ten, with 2 and 5 of each decade if
 * these are few.
 *
 * @param {number} low From 0 up.
 * @param {number} high
 * @param {number} count
 * @returns {number[]} Rising.
 */
export function logTicks(low, high, count) {
  const within = (x) => x >= low && x <= high;
  const decades = Array.from(
    { length: Math.max(1, Math.ceil(Math.log10(high + 1)) + 1) },
    (_, i) => 10 ** i,
  );
  const coarse = [0, ...decades].filter(within);
  const fine = [0, ...decades.flatMap((x) => [x, 2 * x, 5 * x])].filter(within);
  return fine.length <= count ? fine : coarse;
}

/**
 * Widens an interval to end on ticks.
 *
 * @param {[number, number]} interval May be of no length.
 * @param {number} count Of ticks, about.
 * @returns {[number, number]} Of some length.
 */
export function niceDomain([low, high], count) {
  if (low === high) {
    const half = Math.abs(low) / 10 || 0.5;
    return niceDomain([low - half, high + half], count);
  }
  const [first, second] = ticks(low, high, count).slice(0, 2);
  const step = second === undefined ? high - low : second - first;
  const start = first === undefined ? low : first;
  const slack = 1e-9;
  const down = Math.ceil((start - low) / step - slack);
  const up = Math.ceil((high - start) / step - slack);
  return [round(start - down * step), round(start + up * step)];
}

function round(x) {
  return Number(x.toPrecision(12));
}

/**
 * The smallest and largest of what is a number.
 *
 * @param {Iterable<?number>} values
 * @returns {?[number, number]} Null if there is none.
 */
export function extent(values) {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (!isNumber(value)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? [low, high] : null;
}

/**
 * Prints ticks with as many decimals as the finest of them needs.
 *
 * @param {number[]} values
 * @returns {string[]}
 */
export function tickLabels(values) {
  let decimals = 0;
  const whole = (x) => Math.abs(x - Math.round(x)) < 1e-6;
  while (decimals < 9 && !values.every((x) => whole(x * 10 ** decimals))) {
    decimals += 1;
  }
  return values.map((value) => number(value, decimals));
}

/**
 * Which of many labels to show so that they do not run into one another.
 *
 * @param {number} count How many there are.
 * @param {number} length Pixels for all of them.
 * @param {number} least Pixels that one needs.
 * @returns {number} Every how many; 1, 2, 5, 10, 20 ...
 */
export function labelStride(count, length, least) {
  const needed = (count * least) / length;
  for (let power = 1; ; power *= 10) {
    for (const factor of [1, 2, 5]) {
      if (factor * power >= needed) return factor * power;
    }
  }
}

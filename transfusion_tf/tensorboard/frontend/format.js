/** @file How numbers are printed; the same everywhere in the tab. */

/** What stands for an undefined or missing number. */
export const MISSING = "–";

const MINUS = "−";

/**
 * A number with a fixed count of decimals, so that a column lines up.
 *
 * Numbers too small for these decimals are printed with an exponent, those
 * from a thousand up as integers.
 *
 * @param {?number} x Null, NaN and infinities are missing.
 * @param {number} [decimals]
 * @returns {string} For example `0.842`, `2.1e−5`, `12,345`.
 */
export function number(x, decimals = 3) {
  if (!isNumber(x)) return MISSING;
  const size = Math.abs(x);
  let text;
  if (size >= 1000) text = withSeparators(Math.round(size));
  else if (size > 0 && size < 0.5 * 10 ** -decimals) {
    text = size.toExponential(1).replace("-", MINUS);
  } else text = size.toFixed(decimals);
  return x < 0 ? MINUS + text : text;
}

/**
 * A difference: a number with its sign, `+` included.
 *
 * @param {?number} x
 * @param {number} [decimals]
 * @returns {string} For example `+0.012`.
 */
export function signed(x, decimals = 3) {
  const text = number(x, decimals);
  return isNumber(x) && x > 0 ? `+${text}` : text;
}

/**
 * A mean with its interval.
 *
 * @param {?{mean: ?number, low: ?number, high: ?number}} estimate
 * @param {number} [decimals]
 * @param {function(?number, number): string} [print] `number` or `signed`.
 * @returns {string} For example `0.842 (0.801 to 0.883)`; without an interval
 *     the mean alone.
 */
export function interval(estimate, decimals = 3, print = number) {
  if (!estimate || !isNumber(estimate.mean)) return MISSING;
  const mean = print(estimate.mean, decimals);
  if (!isNumber(estimate.low) || !isNumber(estimate.high)) return mean;
  const low = print(estimate.low, decimals);
  const high = print(estimate.high, decimals);
  return `${mean} (${low} to ${high})`;
}

/**
 * A whole number with thousands separators.
 *
 * @param {?number} n
 * @returns {string} For example `23,508,032`.
 */
export function integer(n) {
  if (!isNumber(n)) return MISSING;
  const text = withSeparators(Math.abs(Math.round(n)));
  return n < 0 ? MINUS + text : text;
}

/**
 * A count with its noun.
 *
 * @param {number} n
 * @param {string} noun In the singular.
 * @param {string} [plural] If it is not the noun with an s.
 * @returns {string} For example `1 run`, `1,200 runs`.
 */
export function count(n, noun, plural = `${noun}s`) {
  return `${integer(n)} ${n === 1 ? noun : plural}`;
}

const METRIC_TITLES = Object.freeze({
  auc: "AUC",
  average_precision: "average precision",
  top5_accuracy: "top-5 accuracy",
});

/**
 * A metric in print.
 *
 * @param {string} metric Its name in the records.
 * @returns {string} For example `AUC`.
 */
export function metricTitle(metric) {
  const known = Object.hasOwn(METRIC_TITLES, metric);
  return known ? METRIC_TITLES[metric] : metric.replaceAll("_", " ");
}

/**
 * Whether a value can be drawn.
 *
 * @param {*} x
 * @returns {boolean}
 */
export function isNumber(x) {
  return typeof x === "number" && Number.isFinite(x);
}

function withSeparators(n) {
  return String(n).replace(/\B(?=(\d{3})+$)/g, ",");
}

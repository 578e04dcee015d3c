/** @file Colours, dashes and markers that colour-blind readers tell apart. */

/**
 * Okabe and Ito's colours in the order of the project's printed figures; the
 * last is the text's own, black on white.
 */
export const GROUP_COLORS = Object.freeze([
  "#0072B2",
  "#D55E00",
  "#009E73",
  "#CC79A7",
  "#56B4E9",
  "#E69F00",
  "currentColor",
]);

/** Markers, by the letters that matplotlib has for them. */
export const MARKERS = Object.freeze(["o", "s", "^", "D", "v", "P", "X"]);

/** Patterns of lines in pixels; empty is a full line. */
export const DASHES = Object.freeze(["", "7 3", "2 3", "9 3 2 3"]);

/** Of what belongs to no group: thresholds, null levels, differences. */
export const GREY = "var(--muted)";

/**
 * How the group at a place is drawn; no two of the first 28 are the same, and
 * neighbours differ in colour, dash and marker.
 *
 * @param {number} index From 0.
 * @returns {{color: string, marker: string, dash: string}}
 */
export function groupLook(index) {
  return {
    color: GROUP_COLORS[index % GROUP_COLORS.length],
    marker: MARKERS[index % MARKERS.length],
    dash: DASHES[index % DASHES.length],
  };
}

// Every fifth of matplotlib's 256 colours; between them, a line is exact to
// 0.7 of 255.
const VIRIDIS = parse(
  "44015446085c471063481769481d6f482475472a7a46307e453781433d84414287" +
    "3f48893d4e8a3a538b38598c355e8d33638d31688e2e6d8e2c718e2a768e297b8e" +
    "27808e25848e23898e218e8d20928c1f978b1e9c891fa18821a58524aa8328ae80" +
    "2eb37c35b7793dbc7446c06f50c46a5ac86465cb5e70cf577cd25089d54895d840" +
    "a2da37b0dd2fbddf26cae11fd8e219e5e419f1e51dfde725",
);

// ColorBrewer's red to blue in 11 classes.
const RED_BLUE = parse(
  "67001fb2182bd6604df4a582fddbc7f7f7f7d1e5f092c5de4393c32166ac053061",
);

/**
 * Dark violet over green to yellow; light and dark in grey print as well.
 *
 * @param {number} t From 0 to 1; what is beyond is clipped.
 * @returns {[number, number, number]} Red, green, blue; whole, 0 to 255.
 */
export function viridis(t) {
  return between(VIRIDIS, t);
}

/**
 * Red over near white to blue, for differences: 0.5 stands for none.
 *
 * @param {number} t From 0 to 1; what is beyond is clipped.
 * @returns {[number, number, number]} Red, green, blue; whole, 0 to 255.
 */
export function diverging(t) {
  return between(RED_BLUE, t);
}

/**
 * Whether text or marks on a colour are to be white rather than black.
 *
 * @param {[number, number, number]} color
 * @returns {boolean}
 */
export function isDark([red, green, blue]) {
  const [r, g, b] = [red, green, blue].map((channel) => {
    const x = channel / 255;
    return x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4;
  });
  // WCAG's luminance at which white and black stand out equally well.
  return 0.2126 * r + 0.7152 * g + 0.0722 * b < 0.179;
}

function between(anchors, t) {
  const place = Math.min(Math.max(t, 0), 1) * (anchors.length - 1);
  const index = Math.min(Math.floor(place), anchors.length - 2);
  const weight = place - index;
  return anchors[index].map((low, channel) =>
    Math.round(low + weight * (anchors[index + 1][channel] - low)),
  );
}

function parse(text) {
  return text.match(/.{6}/g).map((color) =>
    color.match(/../g).map((channel) => parseInt(channel, 16)),
  );
}

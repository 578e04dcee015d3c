/** @file Tables and figures out of the browser: CSV, Markdown, LaTeX, SVG, PNG. */

import { isNumber, number } from "./format.js";

/**
 * A table as RFC 4180 CSV.
 *
 * Text that a spreadsheet would take for a formula gets an apostrophe before
 * it: names of runs and layers are not ours.
 *
 * @param {string[]} columns
 * @param {Array<Array<string|number|null>>} rows Missing numbers become empty.
 * @returns {string} Lines end in CR LF.
 */
export function toCsv(columns, rows) {
  return [columns, ...rows]
    .map((row) => `${row.map(csvCell).join(",")}\r\n`)
    .join("");
}

function csvCell(value) {
  if (typeof value === "number") return isNumber(value) ? String(value) : "";
  const text = String(value ?? "");
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/**
 * A table in Markdown.
 *
 * @param {string[]} columns
 * @param {Array<Array<string|number|null>>} rows Numbers are printed by `number`.
 * @returns {string}
 */
export function toMarkdown(columns, rows) {
  const rule = columns.map((_, i) => (isNumeric(rows, i) ? "---:" : "---"));
  const lines = [columns, ...rows].map((row) => row.map(markdownCell));
  lines.splice(1, 0, rule);
  return lines.map((cells) => `| ${cells.join(" | ")} |\n`).join("");
}

function markdownCell(value) {
  return printed(value)
    .replace(/[\\|<>*_`[\]]/g, "\\$&")
    .replace(/\s+/g, " ");
}

/**
 * A table in LaTeX, with the rules of the package booktabs.
 *
 * @param {string[]} columns
 * @param {Array<Array<string|number|null>>} rows Numbers are printed by `number`.
 * @returns {string}
 */
export function toLatex(columns, rows) {
  const align = columns.map((_, i) => (isNumeric(rows, i) ? "r" : "l")).join("");
  const line = (row) => `${row.map(latexCell).join(" & ")} \\\\`;
  return [
    `\\begin{tabular}{${align}}`,
    "\\toprule",
    line(columns),
    "\\midrule",
    ...rows.map(line),
    "\\bottomrule",
    "\\end{tabular}",
    "",
  ].join("\n");
}

const LATEX = {
  "\\": "\\textbackslash{}",
  "~": "\\textasciitilde{}",
  "^": "\\textasciicircum{}",
  "<": "\\textless{}",
  ">": "\\textgreater{}",
  "−": "$-$",
  "–": "--",
};

function latexCell(value) {
  return printed(value)
    .replace(/[\\~^<>−–{}$&#_%]/g, (c) => LATEX[c] ?? `\\${c}`)
    .replace(/\s+/g, " ");
}

function printed(value) {
  if (value === null || typeof value === "number") return number(value);
  return String(value ?? "");
}

function isNumeric(rows, index) {
  return rows.every((row) => row[index] === null || isNumber(row[index]));
}

/**
 * Lets the browser save a file.
 *
 * @param {string} fileName Characters that a file system may refuse are
 *     replaced.
 * @param {Blob|string} content
 * @param {string} [type] MIME type of a text.
 */
export function download(fileName, content, type = "text/plain") {
  const blob =
    content instanceof Blob
      ? content
      : new Blob([content], { type: `${type};charset=utf-8` });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = safeName(fileName);
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/**
 * @param {string} name
 * @returns {string} Letters, digits, dots, hyphens and underscores.
 */
export function safeName(name) {
  return name.replace(/[^A-Za-z0-9._-]+/g, "_").replace(/^[._]+/, "") || "file";
}

/**
 * Copies a text; where the browser refuses, saves it as a file.
 *
 * @param {string} text
 * @param {string} fileName
 * @returns {Promise<string>} "Copied" or "Saved as a file", for the user.
 */
export async function copyText(text, fileName) {
  try {
    await navigator.clipboard.writeText(text);
    return "Copied";
  } catch {
    download(fileName, text);
    return "Saved as a file";
  }
}

// CSS properties of SVG that children take from their parents, and others with
// the value that has no effect.
const INHERITED = [
  "color",
  "dominant-baseline",
  "fill",
  "fill-opacity",
  "font-family",
  "font-size",
  "font-style",
  "font-weight",
  "image-rendering",
  "paint-order",
  "shape-rendering",
  "stroke",
  "stroke-dasharray",
  "stroke-linecap",
  "stroke-linejoin",
  "stroke-opacity",
  "stroke-width",
  "text-anchor",
  "visibility",
];
const OWN = {
  "clip-path": "none",
  opacity: "1",
  "stop-color": "rgb(0, 0, 0)",
  transform: "none",
  "transform-origin": "0px 0px",
};

/**
 * A drawn SVG as a file of its own: the computed styles written into it.
 *
 * Elements of class `no-export`, and hidden ones, are left out.
 *
 * @param {SVGSVGElement} drawn In the page.
 * @returns {string}
 */
export function svgText(drawn) {
  const { width, height } = sizeOf(drawn);
  const copy = drawn.cloneNode(true);
  inlineStyles(drawn, copy, null);
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.setAttribute("width", width);
  copy.setAttribute("height", height);
  if (!copy.hasAttribute("viewBox")) {
    copy.setAttribute("viewBox", `0 0 ${width} ${height}`);
  }
  copy.prepend(background(copy));
  return new XMLSerializer().serializeToString(copy);
}

/** The size it was drawn for; the page may have less room. */
function sizeOf(drawn) {
  const { width, height } = drawn.viewBox.baseVal ?? {};
  return width > 0 ? { width, height } : drawn.getBoundingClientRect();
}

function inlineStyles(drawn, copy, parentStyle) {
  const style = getComputedStyle(drawn);
  if (style.display === "none" || drawn.classList.contains("no-export")) {
    copy.remove();
    return;
  }
  const declarations = [
    ...INHERITED.filter(
      (name) =>
        !parentStyle ||
        style.getPropertyValue(name) !== parentStyle.getPropertyValue(name),
    ),
    ...Object.keys(OWN).filter(
      (name) => parentStyle && style.getPropertyValue(name) !== OWN[name],
    ),
  ].map((name) => `${name}:${style.getPropertyValue(name)}`);
  const written = [...INHERITED, ...Object.keys(OWN)];
  for (const name of ["class", "tabindex", ...written]) {
    copy.removeAttribute(name);
  }
  if (declarations.length > 0) {
    copy.setAttribute("style", declarations.join(";"));
  } else copy.removeAttribute("style");
  const children = [...copy.children];
  [...drawn.children].forEach((child, index) =>
    inlineStyles(child, children[index], style),
  );
}

function background(copy) {
  const rect = document.createElementNS(copy.namespaceURI, "rect");
  const [x, y, width, height] = copy.getAttribute("viewBox").split(/[\s,]+/);
  const fill = getComputedStyle(document.documentElement)
    .getPropertyValue("--surface")
    .trim();
  for (const [key, value] of Object.entries({ x, y, width, height })) {
    rect.setAttribute(key, value);
  }
  rect.setAttribute("fill", fill || "white");
  return rect;
}

/**
 * A drawn SVG as PNG, at twice its size.
 *
 * @param {SVGSVGElement} drawn In the page.
 * @returns {Promise<Blob>}
 */
export async function pngBlob(drawn) {
  const { width, height } = sizeOf(drawn);
  const file = new Blob([svgText(drawn)], { type: "image/svg+xml" });
  const url = URL.createObjectURL(file);
  try {
    const image = new Image();
    image.src = url;
    await image.decode();
    const canvas = document.createElement("canvas");
    canvas.width = Math.ceil(2 * width);
    canvas.height = Math.ceil(2 * height);
    canvas
      .getContext("2d")
      .drawImage(image, 0, 0, canvas.width, canvas.height);
    return await new Promise((resolve, reject) => {
      canvas.toBlob(
        (blob) =>
          blob ? resolve(blob) : reject(new Error("The image is too large.")),
        "image/png",
      );
    });
  } finally {
    URL.revokeObjectURL(url);
  }
}

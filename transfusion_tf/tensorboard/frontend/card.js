/** @file A card: one chart that loads, draws and fails on its own. */

import { announce, button, el, replace, showMore, uniqueId } from "./dom.js";
import { copyText, download, pngBlob, svgText, toCsv } from "./export.js";
import { number } from "./format.js";

const ROWS_AT_ONCE = 200;
// A task that blocks longer is felt when scrolling.
const DRAWING_MILLISECONDS = 12;

/**
 * Makes a card.
 *
 * The data are first loaded when the card comes near the window. `draw` is
 * called with each new data, and with the same again when the card's width or
 * the theme has changed; it replaces what the container holds. The first `<svg>`
 * in the container is what SVG and PNG save. An error in `load`, `draw` or
 * `table` is shown in this card alone.
 *
 * @param {Object} options
 * @param {string|Node} options.title
 * @param {string|function(*): (string|Node)} [options.note] What the chart
 *     shows, in a sentence or two; a function of the data.
 * @param {string} options.fileName Of downloads, without extension.
 * @param {function(): Promise<*>} options.load
 * @param {function(HTMLElement, *): void} options.draw
 * @param {function(*): {columns: string[], rows: Array}} [options.table] The
 *     numbers of the chart, for "Table" and CSV.
 * @param {Array<{label: string, run: function(*): Promise<string>}>}
 *     [options.actions] Further buttons; `run` gets the data and says what it
 *     did.
 * @param {boolean} [options.showsTable] If draw itself shows the table.
 * @returns {HTMLElement} With `reload()`, which loads and draws again
 *     (at once if the card is near the window, else when it comes near), and
 *     `redraw()`, which draws the same data.
 */
export function card(options) {
  const parts = frame(options);
  const { section } = parts;
  const status = { near: false, stale: true, turn: 0, loaded: false };

  const fail = (error) => showError(section, parts, error, section.reload);

  const guarded = async (work) => {
    try {
      return await work();
    } catch (error) {
      fail(error);
      return null;
    }
  };

  const paint = () => {
    if (!status.loaded || !section.isConnected) return;
    try {
      const { data } = status;
      const { note } = options;
      replace(parts.note, typeof note === "function" ? note(data) : note);
      parts.error.hidden = true;
      parts.body.hidden = false;
      options.draw(parts.body, data);
      const hasFigure = parts.body.querySelector("svg") !== null;
      for (const tool of parts.figureTools) tool.hidden = !hasFigure;
      if (!parts.table.hidden) showTable(parts, options, data);
      parts.tools.hidden = false;
    } catch (error) {
      fail(error);
    }
  };

  section.redraw = () => inTurn(paint);
  section.reload = async () => {
    status.stale = true;
    if (!status.near) return;
    status.stale = false;
    status.turn += 1;
    const { turn } = status;
    section.setAttribute("aria-busy", "true");
    try {
      const data = await options.load();
      if (turn !== status.turn) return;
      Object.assign(status, { data, loaded: true });
      section.redraw();
    } catch (error) {
      if (turn === status.turn) fail(error);
    } finally {
      if (turn === status.turn) section.removeAttribute("aria-busy");
    }
  };
  section.comesNear = (near) => {
    status.near = near;
    if (near && status.stale) section.reload();
  };
  section.resized = (width) => {
    const isOther = status.width !== undefined && width !== status.width;
    status.width = width;
    if (isOther && width > 0) section.redraw();
  };
  addTools(parts, options, guarded, () => status.data);
  observe(section);
  return section;
}

/**
 * Draws the cards of a place again, each with the data it has.
 *
 * @param {Element} root
 */
export function redrawCards(root) {
  for (const section of root.querySelectorAll(".card")) section.redraw?.();
}

/**
 * A table of numbers and texts that scrolls on its own.
 *
 * @param {string} label For screen readers.
 * @param {string[]} columns
 * @param {Array<Array<string|number|null>>} rows
 * @returns {HTMLElement}
 */
export function dataTable(label, columns, rows) {
  const body = el("tbody");
  const drawRow = (row) =>
    el(
      "tr",
      {},
      row.map((value) =>
        typeof value === "string"
          ? el("td", {}, value)
          : el("td", { class: "number" }, number(value)),
      ),
    );
  const more = showMore(rows, ROWS_AT_ONCE, drawRow, (nodes) =>
    body.append(...nodes),
  );
  return el(
    "div",
    { class: "scroller", tabindex: 0, role: "group", "aria-label": label },
    el(
      "table",
      { class: "data" },
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          columns.map((column) => el("th", { scope: "col" }, column)),
        ),
      ),
      body,
    ),
    more,
  );
}

/**
 * What is shown in the place of something that failed.
 *
 * @param {*} error
 * @param {string} what Named in the details.
 * @param {?function(): void} [retry]
 * @returns {Node[]}
 */
export function errorMessage(error, what, retry = null) {
  const details = [
    what,
    String(error?.stack ?? error),
    document.documentElement.dataset.version,
    navigator.userAgent,
  ].join("\n");
  const copy = button("Copy details", async () => {
    await acknowledge(copy, () => copyText(details, "error.txt"));
  });
  return [
    el("p", {}, el("strong", {}, "This could not be shown. ")),
    el("p", { class: "error-text" }, String(error?.message ?? error)),
    el("p", {}, copy, retry && button("Try again", retry)),
  ];
}

/**
 * Runs what a button does and lets the button say what was done.
 *
 * @param {HTMLButtonElement} element
 * @param {function(): Promise<string>} work
 */
export async function acknowledge(element, work) {
  const said = await work();
  if (!said) return;
  announce(said);
  element.dataset.label ??= element.textContent;
  element.textContent = `${said} ✓`;
  setTimeout(() => (element.textContent = element.dataset.label), 2000);
}

function frame({ title }) {
  const id = uniqueId("card");
  const parts = {
    title: typeof title === "string" ? title : title.textContent,
    note: el("div", { class: "card-note" }),
    tools: el("div", { class: "card-tools", hidden: true }),
    body: el(
      "div",
      { class: "card-body" },
      el("p", { class: "loading" }, "Loading…"),
    ),
    table: el("div", { class: "card-table", hidden: true }),
    error: el("div", { class: "card-error", role: "alert", hidden: true }),
    figureTools: [],
  };
  // No section: two hundred landmarks would be no help.
  parts.section = el(
    "article",
    { class: "card", "aria-labelledby": id },
    el(
      "div",
      { class: "card-head" },
      el("h3", { id }, title),
      parts.tools,
    ),
    parts.note,
    parts.error,
    parts.body,
    parts.table,
  );
  return parts;
}

function addTools(parts, options, guarded, data) {
  const { fileName } = options;
  const tool = (label, run, attributes = {}) => {
    const element = button(
      label,
      () => acknowledge(element, () => guarded(run)),
      { "aria-label": `${label}: ${parts.title}`, ...attributes },
    );
    parts.tools.append(element);
    return element;
  };
  if (options.table) {
    if (!options.showsTable) addTableTool(parts, options, data, guarded);
    tool("CSV", async () => {
      const { columns, rows } = options.table(data());
      download(`${fileName}.csv`, toCsv(columns, rows), "text/csv");
      return "Saved";
    });
  }
  const figure = () => parts.body.querySelector("svg");
  if (!options.showsTable) {
    parts.figureTools.push(
      tool("SVG", async () => {
        download(`${fileName}.svg`, svgText(figure()), "image/svg+xml");
        return "Saved";
      }),
      tool("PNG", async () => {
        download(`${fileName}.png`, await pngBlob(figure()));
        return "Saved";
      }),
    );
  }
  for (const { label, run } of options.actions ?? []) {
    tool(label, () => run(data()));
  }
}

function addTableTool(parts, options, data, guarded) {
  const toggle = button(
    "Table",
    () =>
      guarded(() => {
        parts.table.hidden = !parts.table.hidden;
        toggle.setAttribute("aria-expanded", String(!parts.table.hidden));
        if (!parts.table.hidden) showTable(parts, options, data());
      }),
    { "aria-label": `Table: ${parts.title}`, "aria-expanded": "false" },
  );
  parts.tools.append(toggle);
}

function showTable(parts, options, data) {
  const { columns, rows } = options.table(data);
  replace(parts.table, dataTable(`Numbers: ${parts.title}`, columns, rows));
}

function showError(section, parts, error, retry) {
  console.warn(`transfusion: ${parts.title}`, error);
  section.removeAttribute("aria-busy");
  parts.body.hidden = true;
  parts.table.hidden = true;
  parts.tools.hidden = true;
  parts.error.hidden = false;
  replace(parts.error, errorMessage(error, parts.title, retry));
}

let nearness = null;
let sizes = null;

function observe(section) {
  nearness ??= new IntersectionObserver(
    (entries) => {
      for (const entry of entries) entry.target.comesNear(entry.isIntersecting);
    },
    { rootMargin: "300px" },
  );
  sizes ??= new ResizeObserver((entries) => {
    // Asking the element for its width would lay out the page once more.
    for (const { target, contentRect } of entries) {
      target.resized(Math.round(contentRect.width));
    }
  });
  nearness.observe(section);
  sizes.observe(section);
}

const waiting = [];
let working = false;

/** Does work in turn, and lets the browser breathe between pieces of it. */
async function inTurn(work) {
  if (!waiting.includes(work)) waiting.push(work);
  if (working) return;
  working = true;
  let start = performance.now();
  while (waiting.length > 0) {
    if (performance.now() - start > DRAWING_MILLISECONDS) {
      await new Promise((resolve) => setTimeout(resolve));
      start = performance.now();
    }
    waiting.shift()();
  }
  working = false;
}

/** @file A table that is sorted by the buttons in its head. */

import { announce, button, el, replace } from "./dom.js";

const ROWS_AT_ONCE = 100;

/**
 * @typedef {Object} Column
 * @property {string} id
 * @property {string} title
 * @property {string} [hint] In small letters under the title.
 * @property {function(*): (Node|string|Array)} cell What a row shows.
 * @property {function(*): (string|number|null)} [value] What it is sorted by;
 *     without it the column is not sorted.
 * @property {function(): Node} [head] Drawn under the title.
 * @property {string} [kind] Class of its cells: "number", "plot", "text".
 */

/**
 * Makes the table.
 *
 * @param {Object} options
 * @param {string} options.label For screen readers.
 * @param {Column[]} options.columns The first names the row.
 * @param {Array} options.rows
 * @param {string} options.order Id of a column, "-" before it for descending,
 *     or empty for the order of the rows.
 * @param {function(string): void} options.onOrder
 * @returns {HTMLElement} With `sort(order)`, which keeps the focus.
 */
export function sortableTable({ label, columns, rows, order, onOrder }) {
  const body = el("tbody");
  const more = el("p", { class: "more" });
  const heads = new Map(columns.map((column) => [column.id, head(column)]));
  const drawn = new Map();
  let current = "";
  let limit = ROWS_AT_ONCE;

  const drawRow = (row) => {
    if (!drawn.has(row)) drawn.set(row, tableRow(columns, row));
    return drawn.get(row);
  };
  const show = () => {
    const ordered = sorted(rows, columns, current);
    replace(body, ordered.slice(0, limit).map(drawRow));
    const left = ordered.length - limit;
    replace(
      more,
      left > 0 && [
        `${limit} of ${rows.length} shown. `,
        button(`Show ${Math.min(left, ROWS_AT_ONCE)} more`, () => {
          limit += ROWS_AT_ONCE;
          show();
        }),
      ],
    );
  };
  const element = el(
    "div",
    { class: "scroller", tabindex: 0, role: "group", "aria-label": label },
    el(
      "table",
      { class: "data sortable" },
      el("thead", {}, el("tr", {}, [...heads.values()])),
      body,
    ),
    more,
  );
  element.sort = (next) => {
    current = next;
    for (const [id, cell] of heads) {
      if (!cell.querySelector("button")) continue;
      const direction = { [id]: "ascending", [`-${id}`]: "descending" }[next];
      cell.setAttribute("aria-sort", direction ?? "none");
    }
    show();
  };
  element.addEventListener("click", ({ target }) => {
    const id = target.closest("button[data-column]")?.dataset.column;
    if (!id) return;
    const next = { [id]: `-${id}`, [`-${id}`]: "" }[current] ?? id;
    const { title } = columns.find((column) => column.id === id);
    onOrder(next);
    const how = { [id]: "ascending", [`-${id}`]: "descending" }[next];
    announce(how ? `Sorted by ${title}, ${how}.` : "In the first order.");
  });
  element.sort(order);
  return element;
}

/**
 * Rows in an order; those without a value come last in either direction.
 *
 * @param {Array} rows
 * @param {Column[]} columns
 * @param {string} order As of `sortableTable`.
 * @returns {Array} A new list.
 */
export function sorted(rows, columns, order) {
  const sign = order.startsWith("-") ? -1 : 1;
  const id = order.replace(/^-/, "");
  const column = columns.find((c) => c.id === id && c.value);
  if (!column) return [...rows];
  const keyed = rows.map((row) => ({ row, key: column.value(row) ?? null }));
  keyed.sort((a, b) => {
    if (a.key === null || b.key === null) {
      return Number(a.key === null) - Number(b.key === null);
    }
    return sign * compare(a.key, b.key);
  });
  return keyed.map(({ row }) => row);
}

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), "en", { numeric: true });
}

function head({ id, title, hint, head: drawing, value, kind }) {
  const text = [
    el("span", { class: "title" }, title),
    hint && el("span", { class: "hint" }, hint),
  ];
  return el(
    "th",
    { scope: "col", class: kind ?? "text" },
    value
      ? el(
          "button",
          { type: "button", class: "sort", "data-column": id },
          text,
        )
      : el("span", { class: "unsorted" }, text),
    drawing?.(),
  );
}

function tableRow(columns, row) {
  return el(
    "tr",
    {},
    columns.map(({ cell, kind }, index) =>
      index === 0
        ? el("th", { scope: "row", class: "text" }, cell(row))
        : el("td", { class: kind ?? "text" }, cell(row)),
    ),
  );
}

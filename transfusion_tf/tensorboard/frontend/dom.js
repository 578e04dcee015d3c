/** @file Elements without a framework; every string becomes a text node. */

const SVG = "http://www.w3.org/2000/svg";
let lastId = 0;

/**
 * Makes an HTML element.
 *
 * @param {string} name
 * @param {?Object<string, *>} [attributes] `style` may be an object, `on...` are
 *     functions; null, undefined and false are left out, true is an empty
 *     attribute. `value`, `checked`, `selected` and `indeterminate` are set as
 *     properties.
 * @param {...(Node|string|number|null|undefined|Array)} children Arrays are
 *     flattened, null, undefined and false left out, all else becomes text.
 * @returns {HTMLElement}
 */
export function el(name, attributes = {}, ...children) {
  return build(document.createElement(name), attributes, children);
}

/**
 * Makes an SVG element; as `el`.
 *
 * @param {string} name
 * @param {?Object<string, *>} [attributes]
 * @param {...*} children
 * @returns {SVGElement}
 */
export function svg(name, attributes = {}, ...children) {
  return build(document.createElementNS(SVG, name), attributes, children);
}

/**
 * Puts children in the place of what a node holds.
 *
 * @param {Element} node
 * @param {...*} children As those of `el`.
 */
export function replace(node, ...children) {
  node.replaceChildren(...nodes(children));
}

/**
 * A name that no other element of the page has.
 *
 * @param {string} prefix
 * @returns {string}
 */
export function uniqueId(prefix) {
  lastId += 1;
  return `${prefix}-${lastId}`;
}

/**
 * A control under its label.
 *
 * @param {string} label
 * @param {HTMLElement} control
 * @returns {HTMLLabelElement}
 */
export function field(label, control) {
  return el(
    "label",
    { class: "field" },
    el("span", { class: "field-label" }, label),
    control,
  );
}

/**
 * A labelled list to choose from.
 *
 * @param {string} label
 * @param {Array<{value: string, label: string}>} options
 * @param {string} value That which is chosen.
 * @param {function(string): void} onChoice Called with the new value.
 * @returns {HTMLLabelElement}
 */
export function choice(label, options, value, onChoice) {
  const control = el(
    "select",
    { onchange: (event) => onChoice(event.target.value) },
    options.map((option) =>
      el(
        "option",
        { value: option.value, selected: option.value === value },
        option.label,
      ),
    ),
  );
  return field(label, control);
}

/**
 * A labelled box to tick.
 *
 * @param {string} label
 * @param {boolean} checked
 * @param {function(boolean): void} onChoice
 * @returns {HTMLLabelElement}
 */
export function checkbox(label, checked, onChoice) {
  return el(
    "label",
    { class: "field field-check" },
    el("input", {
      type: "checkbox",
      checked,
      onchange: (event) => onChoice(event.target.checked),
    }),
    el("span", {}, label),
  );
}

/**
 * A button with a text.
 *
 * @param {string} label
 * @param {function(Event): void} onClick
 * @param {Object<string, *>} [attributes]
 * @returns {HTMLButtonElement}
 */
export function button(label, onClick, attributes = {}) {
  return el("button", { type: "button", ...attributes, onclick: onClick }, label);
}

/**
 * What a view shows that has no data: what is missing and how to get it.
 *
 * @param {string} title
 * @param {string} text
 * @param {string[]} [commands] To be run in a shell.
 * @returns {HTMLElement}
 */
export function emptyState(title, text, commands = []) {
  return el(
    "div",
    { class: "empty" },
    el("h3", {}, title),
    el("p", {}, text),
    commands.map((command) =>
      el(
        "pre",
        { tabindex: 0, role: "group", "aria-label": "command" },
        el("code", {}, command),
      ),
    ),
  );
}

/**
 * Items, at first not more than a limit, with a button for more.
 *
 * @param {Array} items
 * @param {number} limit How many more each time.
 * @param {function(*): Node} draw
 * @param {function(Node[]): void} append Puts the nodes where they belong.
 * @returns {HTMLElement} The button's place; empty once all are shown.
 */
export function showMore(items, limit, draw, append) {
  const place = el("p", { class: "more" });
  let shown = 0;
  const next = () => {
    const batch = items.slice(shown, shown + limit);
    shown += batch.length;
    append(batch.map(draw));
    const left = items.length - shown;
    replace(
      place,
      left > 0
        ? [
            `${shown} of ${items.length} shown. `,
            button(`Show ${Math.min(left, limit)} more`, next),
          ]
        : [],
    );
  };
  next();
  return place;
}

/**
 * Says something to screen readers, politely.
 *
 * @param {string} text
 */
export function announce(text) {
  const region = document.getElementById("announcements");
  if (region) region.textContent = text;
}

function build(element, attributes, children) {
  // A select's value can only be set when its options are there.
  element.append(...nodes(children));
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined) continue;
    if (PROPERTIES.has(key)) element[key] = value;
    else if (value === false) continue;
    else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "style" && typeof value === "object") {
      for (const [name, part] of Object.entries(value)) {
        element.style.setProperty(name, String(part));
      }
    } else element.setAttribute(key, value === true ? "" : String(value));
  }
  return element;
}

const PROPERTIES = new Set(["value", "checked", "selected", "indeterminate"]);

function nodes(children) {
  return children
    .flat(Infinity)
    .filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) =>
      child instanceof Node ? child : document.createTextNode(String(child)),
    );
}

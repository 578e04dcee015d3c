/** @file What the user has chosen: one plain object, written into the URL. */

/** Every key with its default; all values are strings. */
export const DEFAULTS = Object.freeze({
  view: "overview",
  study: "", // Name, "." for that without; empty: reported, with most runs.
  runs: "", // Regular expression on run names; empty: all.
  order: "", // Column of the overview table; "-" before it: descending.
  group: "", // Key of a group; empty: the view chooses.
  measure: "", // Id of a measure; empty: the view chooses.
  comparison: "", // "before_after", "between_runs"; empty: the view chooses.
  metric: "", // Tag of a scalar; empty: the validation metric.
  step: "", // Training step; empty: the last.
  band: "band", // Or "seeds".
  logx: "off", // Or "on".
  range: "fixed", // Or "fit".
  minus: "", // Key of a group to subtract; empty: none.
  normalization: "", // How filters become colours; empty: the view chooses.
  sort: "", // Order of the filters; empty: the view chooses.
  run: "", // Name of the run whose filters are shown; empty: the first.
  beside: "", // Name of the run whose filters stand beside these.
  layer: "", // Name of a layer; empty: the view chooses.
  layer_axis: "", // "row" or "column": whose profile is shown.
});

const CHOICES = Object.freeze({
  band: ["band", "seeds"],
  logx: ["off", "on"],
  range: ["fixed", "fit"],
});
const MAX_LENGTH = 1024;

/**
 * Reads a state; what is unknown, too long or not a choice is left out.
 *
 * @param {string} text `key=value&key=value`, percent-encoded.
 * @param {string} [prefix] Stands before each key; other keys are not ours.
 * @returns {Object<string, string>} Every key of `DEFAULTS`.
 */
export function parse(text, prefix = "") {
  const state = { ...DEFAULTS };
  for (const [name, value] of new URLSearchParams(text)) {
    if (!name.startsWith(prefix)) continue;
    const key = name.slice(prefix.length);
    if (accepts(key, value)) state[key] = value;
  }
  return state;
}

/**
 * Writes a state; keys at their default are left out.
 *
 * @param {Object<string, string>} state
 * @param {string} [prefix]
 * @returns {string} What `parse` reads.
 */
export function serialize(state, prefix = "") {
  const parameters = new URLSearchParams();
  for (const key of Object.keys(DEFAULTS)) {
    const value = state[key] ?? DEFAULTS[key];
    if (value !== DEFAULTS[key]) parameters.append(prefix + key, value);
  }
  return parameters.toString();
}

function accepts(key, value) {
  if (!Object.hasOwn(DEFAULTS, key) || value.length > MAX_LENGTH) return false;
  return !Object.hasOwn(CHOICES, key) || CHOICES[key].includes(value);
}

/** A state that can be listened to. */
export class State {
  #values;
  #listeners = new Set();

  /** @param {Object<string, string>} [values] Those that differ. */
  constructor(values = {}) {
    this.#values = { ...DEFAULTS, ...values };
  }

  /**
   * @param {string} key One of `DEFAULTS`.
   * @returns {string}
   */
  get(key) {
    if (!Object.hasOwn(DEFAULTS, key)) throw new Error(`No such key: ${key}`);
    return this.#values[key];
  }

  /** @returns {Object<string, string>} A copy of all. */
  all() {
    return { ...this.#values };
  }

  /**
   * Changes values, then tells the listeners once, if anything changed.
   *
   * @param {Object<string, string>} changes
   */
  set(changes) {
    const changed = new Set();
    for (const [key, value] of Object.entries(changes)) {
      if (this.get(key) === value) continue;
      if (!accepts(key, value)) {
        throw new Error(`Not a value of ${key}. Received: ${value}`);
      }
      this.#values[key] = value;
      changed.add(key);
    }
    if (changed.size === 0) return;
    for (const listener of [...this.#listeners]) listener(changed);
  }

  /**
   * @param {function(Set<string>): void} listener Called with changed keys.
   * @returns {function(): void} Ends it.
   */
  subscribe(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

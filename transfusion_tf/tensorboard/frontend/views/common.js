/** @file What the views of charts share: looks, names, tensors, cards, steps. */

import { groupLook } from "../colors.js";
import { button, choice, el, replace } from "../dom.js";
import { integer } from "../format.js";

const CARDS_AT_ONCE = 24;
const PLAY_MILLISECONDS = 700;

/**
 * The groups of the chosen study and how each is drawn, in all views alike.
 *
 * @param {Object} context
 * @returns {Array<{key: string, group: Object, look: Object}>}
 */
export function studyGroups(context) {
  const study = context.study()?.study;
  return Object.entries(context.index.groups)
    .filter(([, group]) => group.study === study)
    .map(([key, group], index) => ({ key, group, look: groupLook(index) }));
}

/**
 * How the runs of a group are drawn.
 *
 * @param {Object} context
 * @param {function(Object, string): boolean} isIt Of a group and its key.
 * @param {number} [otherwise] Place among the looks if there is no such group.
 * @returns {Object} As of `groupLook`.
 */
export function lookOf(context, isIt, otherwise = 0) {
  const found = studyGroups(context).find(({ group, key }) => isIt(group, key));
  return found?.look ?? groupLook(otherwise);
}

/**
 * What a run is, in words.
 *
 * @param {Object} index
 * @param {string} run
 * @returns {string} Its name if nothing is known of it.
 */
export function runTitle(index, run) {
  const { info, group, study } = index.runs[run];
  if (!info) return study ? run.replace(`${study}/`, "") : run;
  const label =
    index.groups[group]?.label ?? `${info.model_title}, ${info.init}`;
  const fold = info.fold ? `, fold ${info.fold}` : "";
  return `${label}, seed ${info.seed}${fold}`;
}

/**
 * The tensors of a kind that the selected runs have.
 *
 * @param {Object} context
 * @param {string} kind
 * @returns {Array<{run: string, tag: string, content: Object, maxStep: number}>}
 */
export function tensorsOfKind(context, kind) {
  const { index } = context;
  return context.selectedRuns().flatMap((run) =>
    Object.entries(index.runs[run].tags)
      .map(([tag, entry]) => ({
        run,
        tag,
        content: index.contents[entry.content],
        maxStep: entry.max_step,
      }))
      .filter(({ content }) => content.kind === kind),
  );
}

/**
 * The report of the chosen study.
 *
 * @param {Object} context
 * @returns {Promise<?Object>} Null if it has none.
 */
export async function studyDocument(context) {
  const place = context.study()?.document;
  if (!place) return null;
  const answer = await context.source.tensors(place.tag, [place.run], "last");
  return answer.runs[place.run]?.values.at(-1) ?? null;
}

/**
 * A tensor's value at its steps.
 *
 * @param {Object} context
 * @param {{run: string, tag: string}} item
 * @returns {Promise<{steps: number[], values: Array}>}
 */
export async function allSteps({ source }, { run, tag }) {
  const answer = await source.tensors(tag, [run], "all");
  const found = answer.runs[run];
  if (found?.steps.length) return found;
  const problem = answer.problems.find((entry) => entry.tag === tag);
  throw new Error(
    problem?.message ??
      `TensorBoard holds no step of ${tag} of ${run} any more. Reload the page.`,
  );
}

/**
 * The step to show of those that there are: the last that is not later.
 *
 * @param {number[]} steps Rising, at least one.
 * @param {string} chosen As in the state; empty is the last.
 * @returns {number} Its place; 0 if all are later.
 */
export function stepPlace(steps, chosen) {
  const limit = chosen === "" ? NaN : Number(chosen);
  if (!Number.isFinite(limit)) return steps.length - 1;
  return Math.max(steps.findLastIndex((step) => step <= limit), 0);
}

/**
 * A tensor's planes by their names.
 *
 * @param {{planes: string[]}} content
 * @param {Array} value `[planes, ...]`
 * @returns {{value: Array, null?: Array, low?: Array, high?: Array}}
 */
export function planesOf(content, value) {
  return Object.fromEntries(content.planes.map((name, i) => [name, value[i]]));
}

/**
 * A labelled list of which options and value may change while it has the focus;
 * hidden as long as there is nothing to choose.
 *
 * @param {string} label
 * @param {function(string): void} onChoice
 * @returns {{element: HTMLElement, update: function(Array<{value: string,
 *     label: string}>, string): void}}
 */
export function chooser(label, onChoice) {
  const element = choice(label, [], "", onChoice);
  const control = element.querySelector("select");
  let known = "";
  return {
    element,
    update(options, value) {
      element.hidden = options.length < 2;
      if (JSON.stringify(options) !== known) {
        known = JSON.stringify(options);
        replace(
          control,
          options.map((option) =>
            el("option", { value: option.value }, option.label),
          ),
        );
      }
      control.value = value;
    },
  };
}

/**
 * The place of a view's cards.
 *
 * @param {number} [least] Width of a card in pixels; without it, all there is.
 * @returns {HTMLElement}
 */
export function cardGrid(least = null) {
  const grid = el("div", { class: "cards" });
  setColumns(grid, least);
  return grid;
}

/**
 * @param {HTMLElement} grid
 * @param {?number} least As in `cardGrid`.
 */
export function setColumns(grid, least) {
  grid.style.gridTemplateColumns = least
    ? `repeat(auto-fill, minmax(min(100%, ${least}px), 1fr))`
    : "";
}

/** Cards that stay where they are as long as what they show is wanted. */
export class CardList {
  #root;
  #cards = new Map();
  #limit = CARDS_AT_ONCE;

  /** @param {Element} root */
  constructor(root) {
    this.#root = root;
  }

  /**
   * Shows items, the first ones if they are many, with a button for more.
   *
   * @param {Array<{key: string, version: *, make: function(): HTMLElement}>}
   *     items A card whose version is another than before loads again.
   */
  show(items) {
    const shown = items.slice(0, this.#limit);
    const kept = new Map();
    for (const { key, version, make } of shown) {
      const known = this.#cards.get(key);
      const element = known?.element ?? make();
      if (known && known.version !== version) element.reload?.();
      kept.set(key, { element, version });
    }
    this.#cards = kept;
    const elements = [...kept.values()].map(({ element }) => element);
    const left = items.length - shown.length;
    const more =
      left > 0 &&
      el(
        "p",
        { class: "more" },
        `${shown.length} of ${items.length} shown. `,
        button(`Show ${Math.min(left, CARDS_AT_ONCE)} more`, () => {
          this.#limit += CARDS_AT_ONCE;
          this.show(items);
        }),
      );
    const wanted = more ? [...elements, more] : elements;
    // Taking a card out and in again would lose the focus within it.
    for (const child of [...this.#root.children]) {
      if (!wanted.includes(child)) child.remove();
    }
    wanted.forEach((element, i) => {
      if (this.#root.children[i] !== element) {
        this.#root.insertBefore(element, this.#root.children[i] ?? null);
      }
    });
  }
}

/**
 * One slider of training steps for all cards of a view, with a play button.
 *
 * @param {Object} context
 * @returns {{element: HTMLElement, add: function(number[]): void,
 *     update: function(): void, stop: function(): void}} `add` makes steps known;
 *     without two of them nothing is shown.
 */
export function stepControl({ state }) {
  let steps = [];
  let timer = null;
  const output = el("output", { class: "step-value" });
  const slider = el("input", {
    type: "range",
    min: 0,
    oninput: () => choose(Number(slider.value)),
  });
  const choose = (place) => {
    const isLast = place >= steps.length - 1;
    state.set({ step: isLast ? "" : String(steps[place]) });
  };
  const stop = () => {
    clearInterval(timer);
    timer = null;
    play.textContent = "Play";
  };
  const advance = () => {
    const place = stepPlace(steps, state.get("step"));
    if (place + 1 < steps.length) choose(place + 1);
    if (place + 2 >= steps.length) stop();
  };
  const play = button("Play", () => {
    if (timer !== null) return stop();
    if (stepPlace(steps, state.get("step")) === steps.length - 1) choose(0);
    timer = setInterval(advance, PLAY_MILLISECONDS);
    play.textContent = "Stop";
    return undefined;
  });
  const element = el(
    "div",
    { class: "field steps" },
    el(
      "label",
      { class: "field" },
      el("span", { class: "field-label" }, "Training step"),
      slider,
    ),
    output,
    play,
  );
  const update = () => {
    element.hidden = steps.length < 2;
    if (element.hidden) return;
    const place = stepPlace(steps, state.get("step"));
    slider.max = steps.length - 1;
    slider.value = place;
    const text = `${integer(steps[place])} of ${integer(steps.at(-1))}`;
    slider.setAttribute("aria-valuetext", `step ${text}`);
    replace(output, text);
  };
  update();
  return {
    element,
    add: (more) => {
      steps = [...new Set([...steps, ...more])].sort((a, b) => a - b);
      update();
    },
    update,
    stop,
  };
}

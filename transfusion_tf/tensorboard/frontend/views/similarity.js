/** @file Heat maps: each layer of one network against each of another. */

import { button, el, emptyState, replace } from "../dom.js";
import {
  CardList,
  cardGrid,
  chooser,
  runTitle,
  setColumns,
  stepControl,
  studyGroups,
  tensorsOfKind,
} from "./common.js";
import { Maps, pair } from "./similarity_cards.js";

export const id = "similarity";
export const title = "Similarity";

const ALL = "all";
const CARD_WIDTH = 560;
const COMPARISONS = {
  before_after: "before and after training",
  between_runs: "between two runs",
};

/**
 * @param {Element} root
 * @param {Object} context
 * @returns {{update: function(): void, destroy: function(): void}}
 */
export function mount(root, context) {
  const { state } = context;
  const controls = controlsOf(context);
  const maps = new Maps();
  const view = { context, maps, steps: controls.steps };
  const empty = el("div");
  const omitted = el("p", { class: "counts", style: { "margin-bottom": "8px" } });
  const grid = cardGrid();
  const cards = new CardList(grid);
  replace(
    root,
    el(
      "p",
      { class: "hint", style: { "margin-bottom": "10px" } },
      "How alike two networks represent the same images, layer by layer: " +
        "bright is alike. The null level is what unrelated images would score; " +
        "similarity that is not above it is none. A click on a layer, or Enter " +
        "after the arrow keys, opens its profile.",
    ),
    controls.element,
    omitted,
    empty,
    grid,
  );

  const update = () => {
    const all = tensorsOfKind(context, "similarity");
    const chosen = controls.update(all);
    const { minus, items } = withCounterparts(context, chosen);
    const missing =
      chosen.filter(({ run }) => run !== minus).length - items.length;
    omitted.textContent =
      missing > 0
        ? `${missing} not shown: without the same layers and measure in ` +
          `${runTitle(context.index, minus)}.`
        : "";
    replace(empty, items.length === 0 ? nothing(context, all) : null);
    const profile = state.get("layer") && state.get("layer_axis");
    setColumns(grid, profile ? null : CARD_WIDTH);
    cards.show(
      items.map((item) => ({
        key: JSON.stringify([item.run, item.tag, item.other?.run]),
        version: `${item.maxStep} ${item.other?.maxStep}`,
        make: () => pair(view, item),
      })),
    );
    for (const element of grid.children) element.updateProfile?.();
    maps.update();
  };
  update();
  return {
    update,
    destroy: () => {
      controls.steps.stop();
      maps.destroy();
    },
  };
}

function controlsOf(context) {
  const { state } = context;
  const set = (key) => (value) => state.set({ [key]: value });
  const comparison = chooser("Comparison", set("comparison"));
  const measure = chooser("Measure", set("measure"));
  const group = chooser("Group", set("group"));
  const minus = chooser("Less another run", set("minus"));
  const range = chooser("Colours", set("range"));
  const steps = stepControl(context);
  return {
    steps,
    element: el(
      "div",
      { class: "toolbar" },
      [comparison, measure, group, minus, range].map(({ element }) => element),
      steps.element,
    ),
    /** Shows what there is to choose, returns what was chosen. */
    update(all) {
      const found = unique(all.map(({ content }) => content.comparison));
      const known = Object.keys(COMPARISONS);
      const comparisons = unique([...known, ...found]).filter((value) =>
        found.includes(value),
      );
      comparison.update(
        [
          { value: "", label: "all" },
          ...comparisons.map((value) => ({
            value,
            label: COMPARISONS[value] ?? value,
          })),
        ],
        state.get("comparison"),
      );
      const measures = new Map(
        all.map(({ content: { measure: m } }) => [m.id, m.label]),
      );
      const measureId =
        state.get("measure") === ALL || measures.has(state.get("measure"))
          ? state.get("measure")
          : measures.keys().next().value;
      measure.update(
        [
          ...[...measures].map(([value, label]) => ({ value, label })),
          ...(measures.size > 1 ? [{ value: ALL, label: "all" }] : []),
        ],
        measureId,
      );
      group.update(
        [
          { value: "", label: "all" },
          ...studyGroups(context).map(({ key, group: { label } }) => ({
            value: key,
            label,
          })),
        ],
        state.get("group"),
      );
      minus.update(
        [
          { value: "", label: "none" },
          ...unique(all.map(({ run }) => run)).map((run) => ({
            value: run,
            label: runTitle(context.index, run),
          })),
        ],
        state.get("minus"),
      );
      range.update(
        [
          { value: "fixed", label: "whole range of the measure" },
          { value: "fit", label: "fitted to each card" },
        ],
        state.get("range"),
      );
      steps.update();
      const chosen = all.filter(
        ({ run, content }) =>
          (measureId === ALL || content.measure.id === measureId) &&
          allows("comparison", content.comparison) &&
          allows("group", context.index.runs[run].group),
      );
      const place = ({ content }) => comparisons.indexOf(content.comparison);
      return chosen.sort((a, b) => place(a) - place(b));
    },
  };

  function allows(key, value) {
    return ["", value].includes(state.get(key));
  }
}

/** Each tensor with that of the run to subtract, if one is chosen. */
function withCounterparts(context, items) {
  const minus = context.state.get("minus");
  const run = context.index.runs[minus];
  if (!run) return { minus: "", items };
  const counterpart = (item) => {
    const entry = run.tags[item.tag];
    const content = context.index.contents[entry?.content];
    const layers = ({ rows, columns }) =>
      JSON.stringify([rows.layers, columns.layers]);
    if (!content || layers(content) !== layers(item.content)) return null;
    return { run: minus, tag: item.tag, content, maxStep: entry.max_step };
  };
  return {
    minus,
    items: items
      .map((item) => ({ ...item, other: counterpart(item) }))
      .filter(({ run: own, other }) => other && own !== minus),
  };
}

function nothing({ state }, all) {
  if (all.length > 0) {
    return el(
      "div",
      {},
      emptyState(
        "Nothing matches",
        "There are heat maps of this study, none of what is chosen above.",
      ),
      button("Show all", () =>
        state.set({ comparison: "", measure: "", group: "", minus: "" }),
      ),
    );
  }
  return emptyState(
    "No similarities yet",
    "The selected runs have none. A run compares its layers with those before " +
      "training as it trains, if it is told how often; runs are compared with " +
      "each other afterwards.",
    [
      "python -m launch.train --similarity_every_steps=100 ...",
      "python -m launch.similarity --help",
    ],
  );
}

function unique(values) {
  return [...new Set(values)];
}

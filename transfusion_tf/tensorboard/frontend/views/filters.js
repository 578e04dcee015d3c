/** @file The first layer's filters before and after training. */

import { card } from "../card.js";
import { el, emptyState, replace } from "../dom.js";
import { filterGrids, headingsOf } from "../filter_grids.js";
import { count, number } from "../format.js";
import {
  NORMALIZATIONS,
  ORDERS,
  describeFilters,
  meanOf,
  sortFilters,
} from "../kernels.js";
import {
  CardList,
  allSteps,
  cardGrid,
  chooser,
  runTitle,
  tensorsOfKind,
} from "./common.js";

export const id = "filters";
export const title = "Filters";

const NONE = "none";
const CARD_WIDTH = 560;

/**
 * @param {Element} root
 * @param {Object} context
 * @returns {{update: function(): void, destroy: function(): void}}
 */
export function mount(root, context) {
  const { state } = context;
  const set = (key) => (value) => state.set({ [key]: value });
  const run = chooser("Run", set("run"));
  const beside = chooser("Beside it", set("beside"));
  const layer = chooser("Layer", set("layer"));
  const normalization = chooser("Colours", set("normalization"));
  const order = chooser("Order", set("sort"));
  const controls = el(
    "div",
    { class: "toolbar" },
    [run, beside, layer, normalization, order].map(({ element }) => element),
  );
  const empty = el("div");
  const grid = cardGrid(CARD_WIDTH);
  const cards = new CardList(grid);
  replace(
    root,
    el(
      "p",
      { class: "hint", style: { "margin-bottom": "10px" } },
      "Filters of the first convolution before and after training (the paper's " +
        "Figure 5). Difference: where training has worked; mid grey is no change.",
    ),
    controls,
    empty,
    grid,
  );

  const update = () => {
    const all = tensorsOfKind(context, "filters");
    replace(empty, all.length === 0 ? nothing() : null);
    controls.hidden = all.length === 0;
    if (all.length === 0) return cards.show([]);
    const runs = [...new Set(all.map((item) => item.run))];
    const named = runs.map((value) => ({
      value,
      label: runTitle(context.index, value),
    }));
    const first = firstOf(context, runs);
    const second = besideOf(context, runs, first);
    const own = all.filter((item) => item.run === first);
    const layers = [...new Set(own.map(({ content }) => content.layer))];
    const shown = layers.includes(state.get("layer"))
      ? state.get("layer")
      : layers[0];
    run.update(named, first);
    beside.update([{ value: NONE, label: "no other" }, ...named], second);
    layer.update(layers.map((value) => ({ value, label: value })), shown);
    normalization.update(optionsOf(NORMALIZATIONS), normalizationOf(state));
    order.update(optionsOf(ORDERS), orderOf(state));
    const look = `${normalizationOf(state)} ${orderOf(state)}`;
    return cards.show(
      [...new Set([first, second])]
        .flatMap((name) =>
          all.filter(
            (item) => item.run === name && item.content.layer === shown,
          ),
        )
        .map((item) => ({
          key: JSON.stringify([item.run, item.tag]),
          version: `${item.maxStep} ${look}`,
          make: () => filtersCard(context, item),
        })),
    );
  };
  update();
  return { update, destroy: () => {} };
}

/** The run chosen, else one from random beside which one from transfer stands. */
function firstOf({ index, state }, runs) {
  const wanted = state.get("run");
  if (runs.includes(wanted)) return wanted;
  const isPaired = (run) =>
    index.runs[run].info?.init === "random" &&
    counterparts(index, runs, run).some(isTransfer(index));
  return runs.find(isPaired) ?? runs[0];
}

/** The run beside: that which was chosen, else the other initialization's. */
function besideOf({ index, state }, runs, first) {
  const wanted = state.get("beside");
  if (wanted === NONE || runs.includes(wanted)) return wanted;
  const others = counterparts(index, runs, first);
  return others.find(isTransfer(index)) ?? others[0] ?? NONE;
}

function isTransfer(index) {
  return (run) => index.runs[run].info.init === "transfer";
}

/** The runs that differ from one in their initialization alone. */
function counterparts(index, runs, one) {
  const own = index.runs[one].info;
  return runs.filter((run) => {
    const { info } = index.runs[run];
    return (
      info &&
      own &&
      info.init !== own.init &&
      ["model", "task", "seed", "fold"].every((key) => info[key] === own[key])
    );
  });
}

function optionsOf(choices) {
  return Object.entries(choices).map(([value, { label }]) => ({ value, label }));
}

function normalizationOf(state) {
  const wanted = state.get("normalization");
  return wanted in NORMALIZATIONS ? wanted : "filter";
}

function orderOf(state) {
  const wanted = state.get("sort");
  return wanted in ORDERS ? wanted : "change";
}

function nothing() {
  return emptyState(
    "No filters yet",
    "The selected runs have none. Training writes those of the first " +
      "convolution before the first step and after the last.",
    ["python -m launch.train --help"],
  );
}

function filtersCard(context, item) {
  const { state } = context;
  const heading = `${runTitle(context.index, item.run)}: ${item.content.layer}`;
  const sorted = (data) => sortFilters(data.filters, orderOf(state));
  return card({
    title: heading,
    fileName: `filters-${item.run}-${item.content.layer}`,
    note: (data) => summary(data),
    load: async () => {
      const { steps, values } = await allSteps(context, item);
      const [before, after] = [values[0], values.at(-1)];
      return {
        first: steps[0],
        last: steps.at(-1),
        filters: describeFilters(before, after),
        shape: [
          before[0].length,
          before[0][0].length,
          before[0][0][0].length,
        ],
      };
    },
    draw: (container, data) => {
      const headings = headingsOf(data.first, data.last);
      replace(
        container,
        filterGrids({
          title: heading,
          filters: sorted(data),
          shape: data.shape,
          normalization: normalizationOf(state),
          caption: captionOf(state, data.shape),
          headings,
          width: container.clientWidth,
          announce: context.announce,
        }),
      );
    },
    table: (data) => ({
      columns: [
        "filter",
        "norm before",
        "norm after",
        "change (norm of the difference)",
        "change / norm before",
        "correlation",
      ],
      rows: sorted(data).map((filter) => [
        String(filter.index),
        filter.normBefore,
        filter.normAfter,
        filter.change,
        filter.relative,
        filter.correlation,
      ]),
    }),
  });
}

function summary({ first, last, filters, shape: [height, width, channels] }) {
  const size = `${count(filters.length, "filter")} of ${height} × ${width} × ${channels}`;
  if (first === last) {
    return `${size}. Only step ${first} was written so far: nothing has changed yet.`;
  }
  return (
    `${size}. Mean change, relative to the norm before: ` +
    `${number(meanOf(filters, "relative"))}; mean correlation of before and ` +
    `after: ${number(meanOf(filters, "correlation"))}.`
  );
}

function captionOf(state, [, , channels]) {
  const grey =
    channels === 1 || channels === 3 ? "" : `; mean of ${channels} channels`;
  const { caption } = NORMALIZATIONS[normalizationOf(state)];
  return `${caption}; no change is mid grey${grey}`;
}

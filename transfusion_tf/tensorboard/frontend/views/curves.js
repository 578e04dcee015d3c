/** @file Curves of scalars: means of groups with bands, or every seed. */

import { card } from "../card.js";
import { lineChart } from "../chart.js";
import { checkbox, el, emptyState, replace } from "../dom.js";
import { count, isNumber, number } from "../format.js";
import { GREY, groupLook } from "../colors.js";
import { extent, niceDomain } from "../scale.js";
import {
  CardList,
  cardGrid,
  chooser,
  runTitle,
  setColumns,
  studyGroups,
} from "./common.js";

export const id = "curves";
export const title = "Curves";

const ALL = "all";
const BASELINE = "random";
const NO_BAND = { low: undefined, high: undefined };
// Without a key, no step of it is marked as the first above a threshold.
const IN_GREY = { color: GREY, marker: undefined, key: undefined };
const HEIGHT = 380;
const PANEL_WIDTH = 400;
const PANEL_HEIGHT = 260;
// More bands than these in one chart hide one another.
const MOST_BANDS = 4;
const LINES = [
  { value: "band", label: "mean and 95 % band of each group" },
  { value: "seeds", label: "every seed" },
];

/**
 * @param {Element} root
 * @param {Object} context
 * @returns {{update: function(): void, destroy: function(): void}}
 */
export function mount(root, context) {
  const { state } = context;
  const metric = chooser("Metric", (value) => state.set({ metric: value }));
  const lines = chooser("Lines", (value) => state.set({ band: value }));
  const logarithmic = checkbox("Logarithmic steps", false, (on) =>
    state.set({ logx: on ? "on" : "off" }),
  );
  const controls = el(
    "div",
    { class: "toolbar" },
    metric.element,
    lines.element,
    logarithmic,
  );
  const empty = el("div");
  const grid = cardGrid();
  const cards = new CardList(grid);
  let turn = 0;
  replace(
    root,
    el(
      "p",
      { class: "hint", style: { "margin-bottom": "10px" } },
      "How fast and how far each group of runs learns. A group is one model " +
        "with one initialization on one task; its runs differ by their seed.",
    ),
    controls,
    empty,
    grid,
  );

  const update = () => {
    const { index } = context;
    const runs = context.selectedRuns();
    const metrics = [
      ...new Set(runs.flatMap((run) => index.runs[run].scalars)),
    ].sort();
    controls.hidden = metrics.length === 0;
    replace(empty, metrics.length === 0 ? nothing(state) : null);
    if (metrics.length === 0) return cards.show([]);
    const wanted = state.get("metric");
    const chosen =
      wanted === ALL || metrics.includes(wanted)
        ? wanted
        : preferred(context, metrics);
    metric.update(
      [
        ...metrics.map((value) => ({ value, label: value })),
        { value: ALL, label: `all ${metrics.length}` },
      ],
      chosen,
    );
    lines.update(LINES, state.get("band"));
    logarithmic.querySelector("input").checked = state.get("logx") === "on";
    turn += 1; // New data or another look: each card loads again, from memory.
    const panels = chosen === ALL ? [] : panelsOf(context, runs);
    const isMeans = panels.length > 0;
    cards.show([
      ...(chosen === ALL ? metrics : [chosen]).map((tag) => ({
        key: `${tag} ${chosen === ALL} ${isMeans}`,
        version: turn,
        make: () => metricCard(context, tag, { isWide: chosen !== ALL, isMeans }),
      })),
      ...panels.map(({ key }) => ({
        key: `${chosen} ${key}`,
        version: turn,
        make: () => metricCard(context, chosen, { panel: key }),
      })),
    ]);
    return setColumns(grid, chosen === ALL ? 480 : isMeans ? PANEL_WIDTH : null);
  };
  update();
  return { update, destroy: () => {} };
}

function nothing(state) {
  return state.get("runs") !== ""
    ? emptyState(
        "No curve matches",
        "Change the filter of runs above, or choose another study.",
      )
    : emptyState(
        "No curves yet",
        "The selected runs have no scalars. Training writes them as it goes " +
          "along: the loss, and the metrics of each evaluation.",
        ["python -m launch.train --help", "tensorboard --logdir runs"],
      );
}

/** The metric that a study is about. */
function preferred(context, metrics) {
  const wanted = studyGroups(context).map(({ group }) => validationTag(group));
  return (
    wanted.find((metric) => metrics.includes(metric)) ??
    metrics.find((metric) => metric.startsWith("validation/")) ??
    metrics[0]
  );
}

function validationTag({ metric }) {
  return `validation/${metric}`;
}

/** The groups that get a panel each: all, where there are too many bands. */
function panelsOf(context, runs) {
  if (context.state.get("band") !== "band") return [];
  const selected = new Set(runs);
  const groups = studyGroups(context).filter(({ group }) =>
    group.runs.some((run) => selected.has(run)),
  );
  return groups.length > MOST_BANDS ? groups : [];
}

/**
 * A chart of a metric: of all groups, their means alone if there are panels,
 * or the panel of one group, with the mean of its baseline in grey.
 */
function metricCard(context, metric, { isWide, isMeans, panel }) {
  const { state, index } = context;
  const heading = panel ? index.groups[panel].label : metric;
  const element = card({
    title: heading,
    fileName: `curves-${metric}${panel ? `-${heading}` : ""}`,
    note: (data) => (panel ? null : noteOf(context, metric, data, isMeans)),
    load: () =>
      context.source.curves(
        metric,
        context
          .selectedRuns()
          .filter((run) => context.index.runs[run].scalars.includes(metric)),
      ),
    draw: (container, data) => {
      const all = seriesOf(context, data);
      const series = panel ? panelSeries(context, all, panel) : all;
      if (isMeans) for (const one of series) Object.assign(one, NO_BAND);
      const thresholds = thresholdsOf(context, metric, data);
      replace(
        container,
        lineChart({
          title: panel ? `${heading}: ${metric}` : metric,
          width: container.clientWidth,
          height: panel ? PANEL_HEIGHT : isWide ? HEIGHT : 300,
          x: { label: "training step", log: state.get("logx") === "on" },
          y: { label: metric, domain: panel ? wholeDomain(all) : undefined },
          series,
          rules: [...new Set(thresholds.values())].map((y) => ({
            y,
            label: `threshold ${y}`,
          })),
          marks: series.flatMap((one) => firstAbove(one, thresholds)),
          announce: context.announce,
        }),
      );
    },
    table: (data) => tableOf(context, data, panel),
  });
  if (isMeans) element.style.gridColumn = "1 / -1";
  return element;
}

/** The lines of a group, and in grey the mean of the same model from random. */
function panelSeries(context, all, panel) {
  const own = context.index.groups[panel];
  const isBaseline = ({ group }) =>
    own.init !== BASELINE &&
    group.init === BASELINE &&
    ["model", "study", "task"].every((name) => group[name] === own[name]);
  const baseline = studyGroups(context).find(isBaseline);
  const mean = all.find(({ key, low }) => low && key === baseline?.key);
  return [
    ...(mean ? [{ ...mean, ...NO_BAND, ...IN_GREY }] : []),
    ...all.filter(({ key }) => key === panel),
  ];
}

/** One range for all panels, so that they can be compared. */
function wholeDomain(series) {
  const values = series
    .flatMap(({ points, low, high }) => [
      ...points.map(([, y]) => y),
      ...(low ?? []),
      ...(high ?? []),
    ])
    .filter(isNumber);
  return values.length > 0 ? niceDomain(extent(values), 5) : undefined;
}

function noteOf(context, metric, data, isMeans) {
  const isBand = context.state.get("band") === "band";
  const groups = Object.values(data.groups);
  const parts = [];
  if (isBand && groups.some(({ mean }) => mean)) {
    parts.push(
      "Line: mean of the seeds at the steps they share. " +
        (isMeans
          ? "With its 95 % interval (band, Student's t) each group has a panel " +
            "below; grey there: the mean of the same model from random."
          : "Band: 95 % interval of the mean (Student's t)."),
    );
  } else parts.push("A line a seed.");
  if (isBand && groups.some(({ mean }) => !mean)) {
    parts.push("Groups of fewer than 3 seeds: a line a seed, no mean.");
  }
  if (thresholdsOf(context, metric, data).size > 0) {
    parts.push("Ring: the first evaluation above the threshold.");
  }
  const missing = Object.values(data.runs)
    .flatMap(({ values }) => values)
    .filter((value) => !isNumber(value)).length;
  if (missing > 0) {
    parts.push(`Undefined, therefore not drawn: ${count(missing, "value")}.`);
  }
  return parts.join(" ");
}

/** Lines in the order of the study's groups; runs of no group come last. */
function seriesOf(context, data) {
  const isBand = context.state.get("band") === "band";
  const grouped = studyGroups(context)
    .filter(({ key }) => data.groups[key])
    .flatMap(({ key, group, look }) => {
      const answer = data.groups[key];
      if (isBand && answer.mean) return [meanSeries(key, group, look, answer)];
      const seeds = Object.entries(answer.seeds);
      return seeds.map(([seed, { steps, values }], i) => ({
        ...look,
        key,
        label: `${group.label} (${seeds.length === 1 ? `seed ${seed}` : `${seeds.length} seeds`})`,
        inLegend: i === 0,
        width: 1.3,
        points: steps.map((step, j) => [step, values[j]]),
        read: (j) => [
          `${group.label}, seed ${seed}`,
          `step ${steps[j]}: ${number(values[j])}`,
        ],
      }));
    });
  const inGroups = new Set(
    Object.keys(data.groups).flatMap((key) => context.index.groups[key].runs),
  );
  const alone = Object.entries(data.runs)
    .filter(([run]) => !inGroups.has(run))
    .map(([run, { steps, values }], i) => ({
      ...groupLook(i),
      color: GREY,
      label: runTitle(context.index, run),
      points: steps.map((step, j) => [step, values[j]]),
    }));
  return [...grouped, ...alone];
}

function meanSeries(key, group, look, { steps, mean, low, high, num_seeds }) {
  return {
    ...look,
    key,
    label: `${group.label} (mean of ${num_seeds} seeds)`,
    points: steps.map((step, i) => [step, mean[i]]),
    low,
    high,
  };
}

/** Group -> its threshold, where the metric is that which it is set for. */
function thresholdsOf(context, metric, data) {
  return new Map(
    Object.keys(data.groups)
      .map((key) => [key, context.index.groups[key]])
      .filter(
        ([, group]) =>
          isNumber(group?.threshold) && metric === validationTag(group),
      )
      .map(([key, group]) => [key, group.threshold]),
  );
}

function firstAbove({ key, label, color, points }, thresholds) {
  const threshold = thresholds.get(key);
  if (threshold === undefined) return [];
  const found = points.find(([, y]) => isNumber(y) && y > threshold);
  if (!found) return [];
  const [x, y] = found;
  return [{ x, y, color, text: `${label}: first above ${threshold} at step ${x}` }];
}

function tableOf(context, data, panel) {
  const rows = studyGroups(context)
    .filter(({ key }) => data.groups[key] && (!panel || key === panel))
    .flatMap(({ key, group: { label } }) => {
      const { steps, mean, low, high, seeds } = data.groups[key];
      return [
        ...(mean
          ? steps.map((step, i) => [label, "mean", step, mean[i], low[i], high[i]])
          : []),
        ...Object.entries(seeds).flatMap(([seed, curve]) =>
          curve.steps.map((step, i) => [
            label,
            `seed ${seed}`,
            step,
            curve.values[i],
            null,
            null,
          ]),
        ),
      ];
    });
  return {
    columns: ["group", "line", "step", "value", "low", "high"],
    rows,
  };
}

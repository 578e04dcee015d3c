/** @file How alike each stage is to itself before training: a panel a model. */

import { card } from "../card.js";
import { lineChart } from "../chart.js";
import { GREY } from "../colors.js";
import { el, emptyState, replace } from "../dom.js";
import { integer, interval, isNumber, number, signed } from "../format.js";
import {
  CardList,
  allSteps,
  cardGrid,
  chooser,
  lookOf,
  planesOf,
  runTitle,
  stepControl,
  stepPlace,
  studyDocument,
  tensorsOfKind,
} from "./common.js";

export const id = "profile";
export const title = "Layer profile";

const CARD_WIDTH = 480;
const HEIGHT = 380;
const NULL_DASH = "5 3";
const SHARED_LEGEND = [
  { label: "each run", color: GREY, marker: "tick", line: false },
  {
    label: "null level (images permuted)",
    color: GREY,
    dash: NULL_DASH,
    width: 1,
  },
];

/**
 * @param {Element} root
 * @param {Object} context
 * @returns {{update: function(): void, destroy: function(): void}}
 */
export function mount(root, context) {
  const { state } = context;
  const measure = chooser("Measure", (value) => state.set({ measure: value }));
  const steps = stepControl(context);
  const empty = el("div");
  const report = section(
    "At the end of training",
    "From the study's report: the mean of the runs; the band is its 95 % " +
      "interval over seeds, from 3 of them.",
  );
  const live = section(
    "As it trains",
    "Each run at a training step against itself at step 0.",
    steps.element,
  );
  replace(
    root,
    el(
      "p",
      { class: "hint", style: { "margin-bottom": "10px" } },
      "How much of each stage is still there: similarity of a stage's " +
        "activations after training to those before it (the paper's Figure 3). " +
        "1 is an unchanged representation; the null level is what unrelated " +
        "images would score. Transfer above random: what was transferred is used.",
    ),
    el("div", { class: "toolbar" }, measure.element),
    empty,
    report.element,
    live.element,
  );
  let turn = 0;

  const update = async () => {
    turn += 1;
    const own = turn;
    let profiles = [];
    let problem = null;
    try {
      profiles = (await studyDocument(context))?.profiles ?? [];
    } catch (error) {
      problem = error;
    }
    if (own !== turn) return;
    const tensors = tensorsOfKind(context, "layer_profile");
    const chosen = chooseMeasure(measure, state, profiles, tensors);
    const ofMeasure = profiles.filter((p) => p.measure === chosen);
    const running = tensors.filter(
      ({ content }) => content.measure.id === chosen,
    );
    replace(
      empty,
      ofMeasure.length + running.length === 0 ? nothing(problem) : null,
    );
    report.show(reportItems(context, ofMeasure));
    const isShown = ofMeasure.length > 0 && (await isOneStep(context, running));
    if (own !== turn) return;
    live.show(isShown ? [] : liveItems(context, running, steps));
    steps.update();
  };
  update();
  return {
    update,
    destroy: () => {
      turn += 1;
      steps.stop();
    },
  };
}

function section(heading, text, ...controls) {
  const grid = cardGrid(CARD_WIDTH);
  const cards = new CardList(grid);
  const element = el(
    "section",
    { "aria-label": heading, style: { "margin-bottom": "18px" } },
    el("h3", {}, heading),
    el("p", { class: "hint" }, text),
    el("div", { class: "toolbar", style: { "margin-top": "6px" } }, controls),
    grid,
  );
  return {
    element,
    show: (items) => {
      element.hidden = items.length === 0;
      cards.show(items);
    },
  };
}

function chooseMeasure(measure, state, profiles, tensors) {
  const labels = new Map([
    ...profiles.map((p) => [p.measure, p.measure_label]),
    ...tensors.map(({ content }) => [content.measure.id, content.measure.label]),
  ]);
  const wanted = state.get("measure");
  const chosen = labels.has(wanted) ? wanted : labels.keys().next().value;
  measure.update(
    [...labels].map(([value, label]) => ({ value, label })),
    chosen,
  );
  return chosen;
}

function nothing(problem) {
  if (problem) {
    return emptyState("The study's report could not be read", problem.message);
  }
  return emptyState(
    "No layer profiles yet",
    "A study compares each stage before and after training when its runs are " +
      "done; a single run does as it trains, if it is told how often.",
    [
      "python -m launch.study --study_dir=runs/demo ...",
      "python -m launch.train --similarity_every_steps=100 ...",
    ],
  );
}

function byModel(items, modelOf) {
  const models = new Map();
  for (const item of items) {
    const model = modelOf(item);
    models.set(model, [...(models.get(model) ?? []), item]);
  }
  return [...models];
}

/** A panel of the chosen stages with lines of the whole range [0, 1]. */
function panel(context, { heading, stages, measure, series, legend }, width) {
  const values = series.flatMap(({ points }) => points.map(([, y]) => y));
  const lowest = Math.min(0, ...values.filter(isNumber));
  return lineChart({
    title: heading,
    width,
    height: HEIGHT,
    x: { label: "stage, from input to output", categories: stages },
    y: {
      label: `mean ${measure} similarity`,
      domain: [Math.min(-0.05, lowest), 1.04],
    },
    series,
    legend,
    announce: context.announce,
  });
}

// From the study's report.

function reportItems(context, profiles) {
  return byModel(profiles, (p) => p.model).map(([model, arms]) => {
    const text = JSON.stringify(arms);
    return {
      key: `${model} ${text}`,
      version: text,
      make: () => reportCard(context, arms),
    };
  });
}

function reportCard(context, arms) {
  const [{ model_title: heading, stages, what, measure_label: label }] = arms;
  const donors = [...new Set(arms.map(({ donor }) => donor).filter(Boolean))];
  return card({
    title: heading,
    fileName: `profile-${heading}`,
    note: [
      el("p", {}, what),
      donors.length > 0 ? el("p", {}, `Donor: ${donors.join("; ")}.`) : null,
    ],
    load: async () => arms,
    draw: (container) =>
      replace(
        container,
        panel(
          context,
          {
            heading,
            stages,
            measure: label,
            series: [
              ...arms.flatMap((arm, place) => armSeries(context, arm, place)),
              ...reuseSeries(arms),
            ],
            legend: SHARED_LEGEND,
          },
          container.clientWidth,
        ),
      ),
    table: () => ({
      columns: [
        "initialization", "stage", "mean", "low", "high", "null level", "runs",
      ],
      rows: arms.flatMap((arm) =>
        stages.map((stage, i) => [
          arm.init,
          stage,
          arm.mean[i],
          arm.low?.[i] ?? null,
          arm.high?.[i] ?? null,
          arm.null[i],
          arm.runs.map((run) => number(run[i])).join(" "),
        ]),
      ),
    }),
  });
}

function armSeries(context, arm, place) {
  const look = lookOf(
    context,
    (group) => group.model === arm.model && group.init === arm.init,
    place,
  );
  const label = `${arm.model_title}, ${arm.init}`;
  const at = (values) => values.map((value, x) => [x, value]);
  const numRuns = arm.runs.length;
  return [
    {
      ...look,
      dash: "",
      label: `${label} (${numRuns} run${numRuns === 1 ? "" : "s"})`,
      points: at(arm.mean),
      low: arm.low,
      high: arm.high,
      read: (i) => [
        `${label}, ${arm.stages[i]}`,
        interval({ mean: arm.mean[i], low: arm.low?.[i], high: arm.high?.[i] }),
        `null level ${number(arm.null[i])}`,
      ],
    },
    ...arm.runs.map((run, i) => ({
      color: look.color,
      marker: "tick",
      line: false,
      opacity: 0.8,
      inLegend: false,
      label: `${label}, seed ${arm.seeds[i]}`,
      points: at(run),
      silent: true,
    })),
    nullSeries(look, at(arm.null)),
  ];
}

function nullSeries({ color }, points) {
  return {
    color,
    dash: NULL_DASH,
    width: 1,
    opacity: 0.8,
    label: "null level",
    points,
    silent: true,
    inLegend: false,
  };
}

/** The paper's measure of reuse, where a model has both. */
function reuseSeries(arms) {
  const [random, transfer] = ["random", "transfer"].map((init) =>
    arms.find((arm) => arm.init === init),
  );
  if (!random || !transfer) return [];
  const points = transfer.mean.map((value, i) => [
    i,
    isNumber(value) && isNumber(random.mean[i]) ? value - random.mean[i] : null,
  ]);
  return [
    {
      color: GREY,
      dash: "2 3",
      marker: "dot",
      width: 1.5,
      label: "transfer − random",
      points,
      read: (i) => [
        `transfer − random, ${transfer.stages[i]}`,
        signed(points[i][1]),
      ],
    },
  ];
}

// As runs train.

/** Whether there is the end of training only, which the report shows. */
async function isOneStep(context, [first]) {
  return !first || (await allSteps(context, first)).steps.length < 2;
}

function liveItems(context, tensors, steps) {
  const { index, state } = context;
  const modelOf = ({ run, content }) =>
    JSON.stringify([
      index.runs[run].info?.model_title ?? run,
      content.comparison,
      content.layers,
    ]);
  return byModel(tensors, modelOf).map(([key, items]) => ({
    key: `${key} ${items.map(({ run }) => run).join(" ")}`,
    version: `${state.get("step")} ${items.map((item) => item.maxStep)}`,
    make: () => liveCard(context, items, steps),
  }));
}

function liveCard(context, items, steps) {
  const { index, state } = context;
  const [{ run: firstRun, content }] = items;
  const heading = index.runs[firstRun].info?.model_title ?? firstRun;
  const label = content.measure.label;
  const shown = (data) =>
    data.map(({ item, steps: own, values }) => {
      const place = stepPlace(own, state.get("step"));
      return {
        item,
        step: own[place],
        planes: planesOf(item.content, values[place]),
      };
    });
  return card({
    title: heading,
    fileName: `profile-live-${heading}`,
    note: content.what,
    load: async () => {
      const data = await Promise.all(
        items.map(async (item) => ({ item, ...(await allSteps(context, item)) })),
      );
      steps.add(data.flatMap((one) => one.steps));
      return data;
    },
    draw: (container, data) => {
      const now = shown(data);
      const at = [...new Set(now.map(({ step }) => integer(step)))];
      replace(
        container,
        panel(
          context,
          {
            heading: `${heading}, step ${at.join(", ")}`,
            stages: content.layers,
            measure: label,
            series: now.flatMap((one) => liveSeries(context, one)),
            legend: SHARED_LEGEND.slice(1),
          },
          container.clientWidth,
        ),
      );
    },
    table: (data) => ({
      columns: ["run", "step", "stage", label, "null level"],
      rows: shown(data).flatMap(({ item, step, planes }) =>
        content.layers.map((layer, i) => [
          runTitle(index, item.run),
          integer(step),
          layer,
          planes.value[i],
          planes.null?.[i] ?? null,
        ]),
      ),
    }),
  });
}

function liveSeries(context, { item: { run, content }, step, planes }) {
  const { index } = context;
  const own = index.runs[run].group;
  const look = lookOf(context, (_, key) => key === own);
  const members = index.groups[own]?.runs ?? [run];
  const label = index.groups[own]?.label ?? runTitle(index, run);
  const at = (values) => values.map((value, x) => [x, value]);
  return [
    {
      ...look,
      dash: "",
      width: 1.4,
      label,
      inLegend: run === members.find((member) => index.runs[member]?.tags),
      points: at(planes.value),
      low: planes.low,
      high: planes.high,
      read: (i) => [
        `${runTitle(index, run)}, ${content.layers[i]}`,
        `step ${integer(step)}: ${interval({
          mean: planes.value[i],
          low: planes.low?.[i],
          high: planes.high?.[i],
        })}`,
        `null level ${number(planes.null?.[i])}`,
      ],
    },
    ...(planes.null ? [nullSeries(look, at(planes.null))] : []),
  ];
}

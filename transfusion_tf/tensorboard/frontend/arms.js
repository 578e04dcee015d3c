/** @file The columns of the overview's tables, as seen and as exported. */

import { el } from "./dom.js";
import { MISSING, integer, interval, isNumber, number, signed } from "./format.js";
import { axisOf, drawAxis, drawRow } from "./intervals.js";

const BASELINE = "random";

/**
 * Columns of the arms of a study's report.
 *
 * @param {Object} report The study document.
 * @returns {Column[]} Those of which some arm has a value.
 */
export function armColumns(report) {
  const { arms } = report;
  const some = (test) => arms.some(test);
  return [
    text("model", "Model", (arm) => arm.model_title),
    text("init", "Initialization", (arm) => arm.init_title),
    {
      id: "runs",
      title: "Seeds",
      kind: "number",
      value: (arm) => arm.num_runs,
      cell: (arm) =>
        arm.num_missing > 0
          ? `${arm.num_runs} (${arm.num_missing} missing)`
          : integer(arm.num_runs),
    },
    {
      id: "parameters",
      title: "Parameters",
      kind: "number",
      value: (arm) => arm.num_parameters,
      cell: (arm) => integer(arm.num_parameters),
    },
    ...estimateColumns(report),
    ...(some(hasDifference) ? differenceColumns(report) : []),
    ...(some((arm) => arm.steps) ? [stepsColumn(report)] : []),
    ...(some((arm) => arm.second) ? [secondColumn(arms)] : []),
    ...(some((arm) => arm.paper) ? [paperColumn()] : []),
  ];
}

function text(id, title, value) {
  return { id, title, kind: "text", value, cell: (row) => value(row) ?? MISSING };
}

function estimateColumns({ arms, metric_title: metric }) {
  const axis = axisOf(
    arms.flatMap((arm) => [
      arm.test?.low,
      arm.test?.high,
      arm.joint?.low,
      arm.joint?.high,
      arm.paper?.value,
      ...arm.runs.flatMap((run) =>
        arm.test ? [run.value] : [run.value, run.low, run.high],
      ),
    ]),
  );
  const few = arms.every((arm) => !arm.test);
  return [
    {
      id: "test",
      title: `Test ${metric}`,
      hint: few ? "each run, 95 % of patients" : "mean, 95 % over seeds",
      kind: "number",
      value: (arm) => arm.test?.mean ?? average(arm.runs),
      cell: (arm) => estimateCell(arm.test, arm.runs, number),
    },
    ...plotColumn("test_plot", `Test ${metric}`, axis, (arm) => ({
      estimate: arm.test,
      wide: arm.joint,
      runs: arm.runs,
      paper: arm.paper,
    })),
  ];
}

function differenceColumns({ arms, metric_title: metric }) {
  const axis = axisOf(
    arms.flatMap((arm) => [
      arm.difference?.low,
      arm.difference?.high,
      ...(arm.differences ?? []).flatMap((d) => [d.value, d.low, d.high]),
    ]),
    0,
  );
  return [
    {
      id: "difference",
      title: "Minus random",
      hint: `paired test ${metric}, 95 %`,
      kind: "number",
      value: (arm) => arm.difference?.mean ?? average(arm.differences ?? []),
      cell: (arm) => {
        if (arm.init === BASELINE) return el("i", {}, "baseline");
        const shown = estimateCell(arm.difference, arm.differences, signed);
        return isTold(arm.difference) ? el("b", {}, shown) : shown;
      },
    },
    ...plotColumn("difference_plot", "Minus random", axis, (arm) => ({
      estimate: arm.difference,
      runs: arm.differences,
    })),
  ];
}

function plotColumn(id, title, axis, marks) {
  if (!axis) return [];
  return [
    {
      id,
      title: "",
      kind: "plot",
      head: () => [
        el("span", { class: "sr-only" }, `${title}, drawn`),
        drawAxis(axis),
      ],
      cell: (row) => drawRow(axis, marks(row)),
    },
  ];
}

function secondColumn(arms) {
  const { title } = arms.find((arm) => arm.second).second;
  return {
    id: "second",
    title: `Test ${title}`,
    hint: "mean, 95 % over seeds",
    kind: "number",
    value: (arm) => arm.second?.mean,
    cell: (arm) => estimateText(arm.second, number),
  };
}

function stepsColumn({ metric_title: metric, threshold }) {
  return {
    id: "steps",
    title: `Steps to ${metric} ${number(threshold, 2)}`,
    hint: "(runs that reached it)",
    kind: "number",
    value: (arm) => stepsValue(arm.steps),
    cell: ({ steps }) =>
      steps
        ? [
            steps.text,
            el(
              "span",
              { class: "hint" },
              ` (${steps.num_reached} of ${steps.num_runs} runs)`,
            ),
          ]
        : MISSING,
  };
}

/** ">220" stands after 220. */
function stepsValue(steps) {
  if (!steps) return null;
  const value = Number(steps.text.replace(/[^0-9.]/g, ""));
  return steps.text.startsWith(">") ? value + 0.5 : value;
}

function paperColumn() {
  return {
    id: "paper",
    title: "The paper's",
    hint: "on its own images",
    kind: "number",
    value: (row) => row.paper?.value,
    cell: ({ paper }) => (paper ? paperCell(paper) : MISSING),
  };
}

function paperCell({ value, low, high, source }) {
  return [
    estimateText({ mean: value, low, high }, number),
    source && el("span", { class: "hint source" }, ` ${source}`),
  ];
}

/**
 * Columns of the similarity of pairs of runs, the paper's Figure 2.
 *
 * @param {Array<Object>} pairs Of the study document.
 * @returns {Column[]}
 */
export function pairColumns(pairs) {
  const axis = axisOf(
    pairs.flatMap(({ similarity, paper }) => [
      similarity?.low,
      similarity?.high,
      similarity?.mean,
      paper?.value,
    ]),
  );
  return [
    text("model", "Model", (pair) => pair.model_title),
    text("label", "Pairs of runs", (pair) => pair.label),
    {
      id: "num_pairs",
      title: "Pairs",
      kind: "number",
      value: (pair) => pair.num_pairs,
      cell: (pair) => integer(pair.num_pairs),
    },
    {
      id: "similarity",
      title: "Similarity",
      hint: "mean, 95 % over runs",
      kind: "number",
      value: (pair) => pair.similarity?.mean,
      cell: (pair) => estimateText(pair.similarity, number),
    },
    ...plotColumn("similarity_plot", "Similarity", axis, (pair) => ({
      estimate: pair.similarity,
      paper: pair.paper,
    })),
    {
      id: "above_null",
      title: "Above the null level",
      hint: "0: as alike as unrelated images",
      kind: "number",
      value: (pair) => pair.above_null?.mean,
      cell: (pair) => estimateText(pair.above_null, signed),
    },
    ...(pairs.some(({ paper }) => paper) ? [paperColumn()] : []),
  ];
}

/**
 * Columns of groups of runs that may still train.
 *
 * @param {Array<Object>} rows `{group, metric, last_step, num_steps, estimate,
 *     runs: [{seed, value}]}`.
 * @param {string} metric In print, or "metric" if rows differ in it.
 * @returns {Column[]}
 */
export function liveColumns(rows, metric) {
  const axis = axisOf(
    rows.flatMap(({ estimate, runs }) => [
      estimate?.low,
      estimate?.high,
      ...runs.map((run) => run.value),
    ]),
  );
  return [
    text("group", "Model, initialization", ({ group }) => group.label),
    text("task", "Task", ({ group }) => group.task),
    {
      id: "seeds",
      title: "Seeds",
      kind: "number",
      value: ({ runs }) => runs.length,
      cell: ({ runs }) => integer(runs.length),
    },
    {
      id: "step",
      title: "Step",
      hint: "that all seeds reached",
      kind: "number",
      value: (row) => row.last_step,
      cell: (row) =>
        isNumber(row.num_steps)
          ? `${integer(row.last_step)} of ${integer(row.num_steps)}`
          : integer(row.last_step),
    },
    {
      id: "value",
      title: `Validation ${metric}`,
      hint: "from 3 seeds: mean, 95 % over seeds",
      kind: "number",
      value: (row) => row.estimate?.mean ?? average(row.runs),
      cell: (row) => estimateCell(row.estimate, row.runs, number),
    },
    ...plotColumn("value_plot", `Validation ${metric}`, axis, (row) => row),
  ];
}

/** A mean with its interval, or below 3 seeds each run in a line. */
function estimateCell(estimate, runs, print) {
  if (isNumber(estimate?.mean)) return estimateText(estimate, print);
  if (!runs || runs.length === 0) return MISSING;
  return runs.map(({ seed, value, low, high }) =>
    el(
      "div",
      {},
      el("span", { class: "hint" }, `seed ${seed} `),
      interval({ mean: value, low, high }, 3, print),
    ),
  );
}

/** Reads "0.764 (0.752 to 0.776)", in two lines. */
function estimateText(estimate, print) {
  const whole = interval(estimate, 3, print);
  const [mean] = whole.split(" ");
  if (mean === whole) return whole;
  return [mean, el("span", { class: "hint" }, whole.slice(mean.length))];
}

function average(runs) {
  const values = runs.map((run) => run.value).filter(isNumber);
  if (values.length === 0) return null;
  return values.reduce((a, b) => a + b) / values.length;
}

function hasDifference(arm) {
  return arm.difference || arm.differences?.length > 0;
}

/** Whether an interval of a difference excludes 0. */
function isTold(difference) {
  if (!isNumber(difference?.low) || !isNumber(difference.high)) return false;
  return difference.low > 0 || difference.high < 0;
}

/**
 * A table's texts, for Markdown and LaTeX: what the cells show.
 *
 * @param {Column[]} columns
 * @param {Array} rows
 * @returns {{columns: string[], rows: string[][]}}
 */
export function shownTable(columns, rows) {
  const shown = columns.filter(({ kind }) => kind !== "plot");
  return {
    columns: shown.map(({ title, hint }) => (hint ? `${title} (${hint})` : title)),
    rows: rows.map((row) => shown.map(({ cell }) => textOf(cell(row)))),
  };
}

function textOf(content) {
  if (Array.isArray(content)) {
    const parts = content.filter(Boolean);
    const areLines = parts.every(({ tagName }) => tagName === "DIV");
    return parts.map(textOf).join(areLines ? "; " : "");
  }
  return content instanceof Node ? content.textContent : String(content);
}

/**
 * The arms in full precision, one number a cell.
 *
 * @param {Object} report The study document.
 * @returns {{columns: string[], rows: Array}}
 */
export function armNumbers({ task, metric, arms }) {
  const seeds = [
    ...new Set(arms.flatMap((arm) => arm.runs.map((run) => run.seed))),
  ].sort((a, b) => a - b);
  return {
    columns: [
      ...["model", "initialization", "donor", "task", "metric"],
      ...["num_runs", "num_missing", "num_parameters"],
      ...["test_mean", "test_seed_low", "test_seed_high"],
      ...["test_joint_low", "test_joint_high"],
      ...["difference_mean", "difference_low", "difference_high"],
      ...["steps_to_threshold", "num_reached"],
      ...["paper", "paper_low", "paper_high", "paper_source"],
      ...seeds.flatMap((seed) =>
        ["", "_low", "_high"].map((part) => `test_seed_${seed}${part}`),
      ),
    ],
    rows: arms.map((arm) => [
      ...[arm.model, arm.init, arm.donor, task, metric],
      ...[arm.num_runs, arm.num_missing, arm.num_parameters],
      ...[arm.test?.mean, arm.test?.low, arm.test?.high],
      ...[arm.joint?.low, arm.joint?.high],
      arm.difference?.mean,
      ...[arm.difference?.low, arm.difference?.high],
      ...[arm.steps?.text, arm.steps?.num_reached],
      ...[arm.paper?.value, arm.paper?.low, arm.paper?.high],
      arm.paper?.source,
      ...seeds.flatMap((seed) => {
        const run = arm.runs.find((r) => r.seed === seed);
        return [run?.value, run?.low, run?.high];
      }),
    ]),
  };
}

/** @file Overview: what a study answers, in words and in one table. */

import {
  armColumns,
  armNumbers,
  liveColumns,
  pairColumns,
  shownTable,
} from "../arms.js";
import { card, errorMessage } from "../card.js";
import { el, emptyState, replace } from "../dom.js";
import { copyText, toLatex, toMarkdown } from "../export.js";
import { count, metricTitle } from "../format.js";
import { sortableTable } from "../sortable.js";

export const id = "overview";
export const title = "Overview";

/**
 * @param {HTMLElement} root
 * @param {Object} context
 * @returns {{update: function(): void, destroy: function(): void}}
 */
export function mount(root, context) {
  const report = el("div", { class: "cards" });
  const live = el("div", { class: "cards" });
  replace(root, report, live);
  let known = null;
  let sortables = [];
  let liveCard = null;
  let turn = 0;

  const show = (study, document) => {
    const text = JSON.stringify([study?.study, document]);
    if (text !== known) {
      known = text;
      sortables = [];
      replace(report, document ? reportCards(document, context, sortables) : []);
      const needed = !document || document.missing.length > 0;
      liveCard = needed ? runningCard(context, document) : null;
      replace(live, study ? liveCard : nothing());
    } else liveCard?.reload();
    for (const table of sortables) table.sort(context.state.get("order"));
  };
  const update = async () => {
    const mine = ++turn;
    const study = context.study();
    try {
      const document = study?.document
        ? await readDocument(context.source, study.document)
        : null;
      if (mine === turn) show(study, document);
    } catch (error) {
      if (mine !== turn) return;
      known = null;
      replace(
        report,
        el(
          "div",
          { class: "card card-error", role: "alert" },
          errorMessage(error, "The study's report", update),
        ),
      );
      liveCard = runningCard(context, null);
      replace(live, liveCard);
    }
  };
  update();
  return {
    update,
    destroy() {
      turn += 1;
    },
  };
}

/**
 * The document of a study.
 *
 * @param {HttpSource|EmbeddedSource} source
 * @param {{run: string, tag: string}} place
 * @returns {Promise<Object>}
 */
export async function readDocument(source, { run, tag }) {
  const answer = await source.tensors(tag, [run], "last");
  const document = answer.runs[run]?.values[0];
  if (document) return document;
  const why = answer.problems.map(({ message }) => message).join(" ");
  throw new Error(
    `The report in ${run} could not be read. ${why} Repeat the study's ` +
      "command to write it again: what is finished is not done twice.",
  );
}

function nothing() {
  return emptyState(
    "No runs yet",
    "Nothing that transfusion_tf wrote lies under this log directory. Train " +
      "a run or a study, then press TensorBoard's reload button. A small " +
      "study of six runs takes about four minutes:",
    [
      "python -m launch.study --flagfile=launch/experiments/demo.flags --study_dir=runs/demo",
      "tensorboard --logdir runs",
    ],
  );
}

function reportCards(document, context, sortables) {
  return [
    document.missing.length > 0 && missingCard(document),
    armsCard(document, context, sortables),
    document.pairs?.length > 0 && pairsCard(document.pairs, context, sortables),
    verdictCard(document),
  ];
}

function missingCard({ missing, command }) {
  return el(
    "section",
    { class: "card", "aria-labelledby": "missing" },
    el(
      "h3",
      { id: "missing" },
      `Not finished, so not counted: ${count(missing.length, "run")}`,
    ),
    list(missing.slice(0, 20)),
    missing.length > 20 && el("p", {}, `and ${missing.length - 20} more.`),
    el("p", {}, "The study goes on where it stopped, by its command:"),
    el(
      "pre",
      { tabindex: 0, role: "group", "aria-label": "command" },
      el("code", {}, command),
    ),
  );
}

function list(items) {
  return el(
    "ul",
    {},
    items.map((item) => el("li", {}, item)),
  );
}

function verdictCard({ name, task, verdict, notes }) {
  return el(
    "section",
    { class: "card", "aria-labelledby": "verdict" },
    el("h3", { id: "verdict" }, `In words: what ${name} says of ${task}`),
    el(
      "div",
      { class: "verdict" },
      verdict
        .split("\n")
        .filter(Boolean)
        .map((line) => el("p", {}, line)),
    ),
    notes?.length > 0 && [el("h4", {}, "Notes"), list(notes)],
  );
}

function armsCard(document, context, sortables) {
  const columns = armColumns(document);
  const { arms, metric_title: metric } = document;
  const fileName = `${document.name}-arms`;
  return card({
    title: `Test ${metric} of each model and initialization`,
    note: armsNote(document),
    fileName,
    load: async () => document,
    draw: sortableDrawing("Arms of the study", columns, arms, context, sortables),
    table: () => armNumbers(document),
    showsTable: true,
    actions: copies(columns, arms, fileName),
  });
}

function armsNote({ arms, seeds }) {
  const few = arms.some((arm) => !arm.test);
  const many = arms.some((arm) => arm.test);
  const paper = arms.some((arm) => arm.paper);
  return el(
    "ul",
    { class: "key" },
    many &&
      el(
        "li",
        {},
        el("b", {}, "●"),
        " mean of the runs; thick: 95 % interval over seeds (Student's t); " +
          "thin: over seeds and patients; small dots: each run.",
      ),
    few &&
      el(
        "li",
        {},
        `With ${seeds.length < 3 ? seeds.length : "fewer than 3"} seeds there ` +
          "is no mean to trust: each run is shown, with a 95 % interval over " +
          "its patients.",
      ),
    el(
      "li",
      {},
      "Minus random: the same seeds and patients in both arms; ",
      el("b", {}, "bold"),
      " where the interval excludes 0. Steps: training steps until " +
        "validation first reached the threshold; > where not every run did.",
    ),
    paper &&
      el(
        "li",
        {},
        el("b", {}, "◇"),
        " what the paper has on its own images: no target for ours.",
      ),
  );
}

function pairsCard(pairs, context, sortables) {
  const columns = pairColumns(pairs);
  return card({
    title: "How alike two runs are after training (the paper's Figure 2)",
    note:
      "Similarity of the highest stages of two runs, for pairs of two random " +
      "initializations and of random with transfer. If transferred features " +
      "were reused, random-transfer pairs would be less alike. Read it above " +
      "the null level: what the same runs score on images that do not match.",
    fileName: "pairs",
    load: async () => pairs,
    draw: sortableDrawing("Pairs of runs", columns, pairs, context, sortables),
    table: () => pairNumbers(pairs),
    showsTable: true,
    actions: copies(columns, pairs, "pairs"),
  });
}

function pairNumbers(pairs) {
  return {
    columns: [
      ...["model", "pairs", "num_pairs", "similarity", "low", "high"],
      ...["above_null", "above_null_low", "above_null_high"],
      ...["paper", "paper_low", "paper_high", "paper_source"],
    ],
    rows: pairs.map((pair) => [
      ...[pair.model_title, pair.label, pair.num_pairs],
      ...["mean", "low", "high"].map((part) => pair.similarity?.[part]),
      ...["mean", "low", "high"].map((part) => pair.above_null?.[part]),
      ...["value", "low", "high", "source"].map((part) => pair.paper?.[part]),
    ]),
  };
}

/** The table is made once, so that sorting and resizing keep the focus. */
function sortableDrawing(label, columns, rows, context, sortables) {
  const { state } = context;
  const table = sortableTable({
    label,
    columns,
    rows,
    order: state.get("order"),
    onOrder: (order) => state.set({ order }),
  });
  sortables.push(table);
  return (place) => {
    if (table.parentNode !== place) replace(place, table);
  };
}

function copies(columns, rows, name) {
  const action = (label, write, extension) => ({
    label,
    run: () => {
      const shown = shownTable(columns, rows);
      return copyText(write(shown.columns, shown.rows), `${name}.${extension}`);
    },
  });
  return [
    action("Copy Markdown", toMarkdown, "md"),
    action("Copy LaTeX", toLatex, "tex"),
  ];
}

function runningCard(context, document) {
  let table = null;
  let drawn = null;
  return card({
    title: "Validation while training",
    note:
      (document
        ? "Of all runs, finished or not. "
        : "These runs have no report yet. ") +
      "Scores on the validation split at the last step that every seed of a " +
      "group has reached: a look at how training goes, no result. The test " +
      "split is scored once, when the study is finished: python -m launch.study " +
      "writes its report, python -m launch.report writes it again.",
    fileName: "validation",
    load: () => runningGroups(context),
    draw(place, found) {
      const { rows, problems } = found;
      if (found !== drawn) {
        drawn = found;
        table = rows.length > 0 && runningTable(found, context);
        replace(
          place,
          table || nothingScored(context),
          problems.map(({ message }) =>
            el("p", { class: "field-error" }, message),
          ),
        );
      }
      if (table) table.sort(context.state.get("order"));
    },
    table: ({ rows }) => runningNumbers(rows),
    showsTable: true,
  });
}

function runningTable({ rows, metric }, { state }) {
  return sortableTable({
    label: "Groups of runs",
    columns: liveColumns(rows, metric),
    rows,
    order: state.get("order"),
    onOrder: (order) => state.set({ order }),
  });
}

function nothingScored(context) {
  if (context.selectedRuns().length === 0) {
    return emptyState(
      "No run matches the filter",
      "Clear the box Runs above, or write another regular expression.",
    );
  }
  return emptyState(
    "No scores yet",
    "None of these runs has written a validation score. A run writes one " +
      "after each evaluation; press TensorBoard's reload button.",
  );
}

/** The last validation score of each group of the selected runs. */
async function runningGroups({ index, source, selectedRuns }) {
  const runs = selectedRuns();
  const byTag = new Map();
  for (const run of runs) {
    const { info, scalars } = index.runs[run];
    const tag = info && `validation/${info.metric}`;
    if (!tag || !scalars.includes(tag)) continue;
    if (!byTag.has(tag)) byTag.set(tag, []);
    byTag.get(tag).push(run);
  }
  const rows = [];
  const problems = [];
  for (const [tag, tagged] of byTag) {
    const answer = await source.curves(tag, tagged);
    problems.push(...answer.problems);
    for (const [key, curve] of Object.entries(answer.groups)) {
      rows.push(lastScore(index, key, curve));
    }
  }
  const metrics = new Set(rows.map(({ group }) => group.metric));
  const metric = metrics.size === 1 ? metricTitle(rows[0].group.metric) : "score";
  return { rows, metric, problems };
}

function lastScore(index, key, { steps, mean, low, high, seeds }) {
  const group = index.groups[key];
  const last = steps.length - 1;
  const at = (list) => list?.[last] ?? null;
  return {
    group,
    last_step: at(steps),
    num_steps: index.runs[group.runs[0]].info.num_steps,
    estimate: mean && { mean: at(mean), low: at(low), high: at(high) },
    runs: Object.entries(seeds).map(([seed, curve]) => ({
      seed: Number(seed),
      value: curve.values[curve.steps.indexOf(at(steps))] ?? null,
    })),
  };
}

function runningNumbers(rows) {
  return {
    columns: [
      ...["model", "initialization", "task", "metric", "step", "num_seeds"],
      ...["validation_mean", "validation_low", "validation_high"],
      "validation_seeds",
    ],
    rows: rows.map(({ group, last_step: step, estimate, runs }) => [
      ...[group.model, group.init, group.task, group.metric],
      ...[step, runs.length],
      ...[estimate?.mean, estimate?.low, estimate?.high],
      runs.map(({ seed, value }) => `${seed}: ${value}`).join("; "),
    ]),
  };
}

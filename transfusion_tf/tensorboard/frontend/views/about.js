/** @file About this data: what the numbers mean, and what is wrong with them. */

import { acknowledge, dataTable } from "../card.js";
import { button, el, replace, showMore, uniqueId } from "../dom.js";
import { copyText } from "../export.js";
import { count } from "../format.js";
import { GLOSSARY } from "../glossary.js";

export const id = "about";
export const title = "About this data";

const SCHEMA_VERSION = 1;
const PROBLEMS_AT_ONCE = 50;
const BIBTEX = `@inproceedings{raghu2019transfusion,
  title     = {Transfusion: Understanding Transfer Learning for Medical Imaging},
  author    = {Raghu, Maithra and Zhang, Chiyuan and Kleinberg, Jon and Bengio, Samy},
  booktitle = {Advances in Neural Information Processing Systems},
  volume    = {32},
  year      = {2019}
}
`;

/**
 * @param {HTMLElement} root
 * @param {Object} context
 * @returns {{update: function(): void, destroy: function(): void}}
 */
export function mount(root, context) {
  let drawn = null;
  const update = () => {
    const chosen = JSON.stringify([context.study()?.study, context.state.get("runs")]);
    const known = drawn?.index === context.index && drawn.chosen === chosen;
    if (known) return;
    drawn = { index: context.index, chosen };
    const contents = contentsOf(context);
    replace(
      root,
      el(
        "div",
        { class: "cards" },
        problems(context.index),
        sampling(context.index),
        measures(contents),
        samples(contents),
        glossary(),
        citation(),
        versions(context),
      ),
    );
  };
  update();
  return { update, destroy() {} };
}

/** The distinct contents of the selected runs' tags. */
function contentsOf({ index, selectedRuns }) {
  const numbers = new Set();
  for (const run of selectedRuns()) {
    for (const { content } of Object.values(index.runs[run].tags)) {
      numbers.add(content);
    }
  }
  return [...numbers].sort((a, b) => a - b).map((n) => index.contents[n]);
}

function section(heading, ...children) {
  const head = uniqueId("about");
  return el(
    "section",
    { class: "card", "aria-labelledby": head },
    el("h3", { id: head }, heading),
    children,
  );
}

function problems({ problems: found }) {
  if (found.length === 0) {
    return section(
      "Problems found",
      el("p", {}, "None: everything that was written can be shown."),
    );
  }
  const list = el("ul", { class: "problems" });
  const more = showMore(
    found,
    PROBLEMS_AT_ONCE,
    ({ run, tag, message }) =>
      el(
        "li",
        {},
        el("span", {}, message),
        el(
          "span",
          { class: "hint" },
          run && `run ${run}`,
          run && tag && ", ",
          tag && `tag ${tag}`,
        ),
      ),
    (items) => list.append(...items),
  );
  return section(
    `Problems found: ${found.length}`,
    el("p", {}, "What is named here is left out; all else is shown."),
    list,
    more,
  );
}

function sampling({ sampling: { limit, set_by: setBy } }) {
  if (setBy === "tensorboard") {
    return section(
      "Which steps are here",
      el(
        "p",
        {},
        "This TensorBoard did not let the plugin say how many steps of each " +
          "series are kept: some may be missing, step 0 among them.",
      ),
    );
  }
  const steps = limit === 0 ? "every step" : `up to ${count(limit, "step")}`;
  const who =
    setBy === "user"
      ? "by the command line that started it"
      : "by this plugin, so that step 0, before training, is always there";
  return section(
    "Which steps are here",
    el(
      "p",
      {},
      `TensorBoard keeps ${steps} of each series that transfusion_tf wrote. ` +
        `The limit was set ${who}. Where more are written, TensorBoard keeps ` +
        "a random choice of them, and the last. Scalars, such as the curves, " +
        "have TensorBoard's own limit of 1,000 steps.",
    ),
    el(
      "p",
      {},
      "To see more, or to save memory, start TensorBoard with a limit of " +
        "your own; 0 keeps all:",
    ),
    command("tensorboard --logdir runs --samples_per_plugin=transfusion=0"),
  );
}

function command(text) {
  return el(
    "pre",
    { tabindex: 0, role: "group", "aria-label": "command" },
    el("code", {}, text),
  );
}

function measures(contents) {
  const distinct = new Map();
  for (const { measure } of contents) {
    if (measure) distinct.set(JSON.stringify(measure), measure);
  }
  const heading = "What each measure says";
  if (distinct.size === 0) {
    return section(
      heading,
      el(
        "p",
        {},
        "No similarities were written yet. To compare every stage with its " +
          "state at step 0 as a run trains, every 100 steps:",
      ),
      command("python -m launch.train --similarity_every_steps=100"),
    );
  }
  return section(
    heading,
    el(
      "p",
      {},
      "A measure compares the activations of two layers on the same images. " +
        "What it is invariant to, it cannot see: two layers that differ only " +
        "by it get the score of equal layers.",
    ),
    dataTable(
      "Measures",
      ["Measure", "Range", "More similar is", "Symmetric", "Invariant to"],
      [...distinct.values()].map((measure) => [
        measure.label,
        measure.range.map((end) => end ?? "no limit").join(" to "),
        measure.larger_is_more_similar ? "larger" : "smaller",
        measure.is_symmetric ? "yes" : "no",
        measure.invariances.join(", ") || "nothing",
      ]),
    ),
  );
}

const COMPARISONS = new Map([
  ["before_after", "a run with its own start"],
  ["between_runs", "two runs"],
]);

function samples(contents) {
  const rows = new Map();
  for (const content of contents) {
    if (!content.measure) continue;
    const row = [
      content.measure.label,
      COMPARISONS.get(content.comparison) ?? content.comparison,
      String(content.num_images),
      content.what,
    ];
    rows.set(JSON.stringify(row), row);
  }
  if (rows.size === 0) return null;
  return section(
    "On how many images",
    el(
      "p",
      {},
      "With few images against many channels every pair of layers looks " +
        "alike. The null level, drawn beside each score, says how much.",
    ),
    dataTable(
      "Samples",
      ["Measure", "Compares", "Images", "What was compared, sampled how"],
      [...rows.values()],
    ),
  );
}

function glossary() {
  return section(
    "Words",
    el(
      "dl",
      { class: "glossary" },
      Object.entries(GLOSSARY).map(([word, meaning]) => [
        el("dt", {}, word),
        el("dd", {}, meaning),
      ]),
    ),
  );
}

function citation() {
  const copy = button("Copy BibTeX", () =>
    acknowledge(copy, () => copyText(BIBTEX, "transfusion.bib")),
  );
  return section(
    "The paper",
    el(
      "p",
      {},
      "The questions, the networks CBR and the weight transfusion are those " +
        "of Raghu, Zhang, Kleinberg and Bengio: Transfusion: Understanding " +
        "Transfer Learning for Medical Imaging (NeurIPS 2019). If you use " +
        "what you see here, cite it:",
    ),
    command(BIBTEX),
    el("p", {}, copy),
  );
}

function versions({ index, selectedRuns }) {
  const found = new Map();
  for (const run of selectedRuns()) {
    const { info } = index.runs[run];
    if (!info) continue;
    const { tensorflow, keras } = info.versions;
    const key = `TensorFlow ${tensorflow}, Keras ${keras}`;
    found.set(key, (found.get(key) ?? 0) + 1);
  }
  return section(
    "Versions",
    el(
      "ul",
      {},
      el(
        "li",
        {},
        `This tab: transfusion_tf ${index.plugin_version}; data of format ` +
          `version ${SCHEMA_VERSION}.`,
      ),
      [...found].map(([name, runs]) =>
        el("li", {}, `${name}: wrote ${count(runs, "run")}.`),
      ),
    ),
    found.size > 1 &&
      el(
        "p",
        {},
        "Runs of different versions stand side by side: compare them with care.",
      ),
  );
}

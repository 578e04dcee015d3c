/** @file The frame around the views: header, tabs, and what they share. */

import { errorMessage, redrawCards } from "./card.js";
import { announce, button, choice, el, field, replace } from "./dom.js";
import { count } from "./format.js";
import { State } from "./state.js";
import * as about from "./views/about.js";
import * as curves from "./views/curves.js";
import * as filters from "./views/filters.js";
import * as overview from "./views/overview.js";
import * as profile from "./views/profile.js";
import * as scatter from "./views/scatter.js";
import * as similarity from "./views/similarity.js";

const VIEWS = [overview, curves, similarity, profile, filters, scatter, about];
const MAX_PATTERN_LENGTH = 200;
const TYPING_MILLISECONDS = 250;

/**
 * Builds the tab in the page's body.
 *
 * @param {HttpSource|EmbeddedSource} source
 * @param {TensorBoardHost|PageHost} host
 * @returns {Promise<void>} Once the first view has been drawn.
 */
export async function start(source, host) {
  const root = document.documentElement;
  root.dataset.theme = host.theme();
  const state = new State(host.readState());
  const context = {
    source,
    state,
    announce,
    index: await source.index(),
    theme: () => host.theme(),
    selectedRuns: () => selectedRuns(context.index, state),
    study: () => chosenStudy(context.index, state),
  };
  root.dataset.version = `transfusion_tf ${context.index.plugin_version}`;
  const parts = frame(context);
  const panel = new Panel(parts.panel, context);
  const update = () => {
    parts.update();
    panel.update();
  };

  state.subscribe(() => {
    update();
    host.writeState(state.all());
  });
  host.onState(() => {
    const text = host.readState();
    if (text) state.set(text);
  });
  host.onTheme(() => {
    if (root.dataset.theme === host.theme()) return;
    root.dataset.theme = host.theme();
    redrawCards(parts.panel);
  });
  host.onReload(async () => {
    try {
      context.index = await source.reload();
      parts.fail(null);
      update();
      announce("New data read.");
    } catch (error) {
      parts.fail(error);
    }
  });

  replace(document.body, parts.all);
  update();
  root.dataset.ready = "true";
}

/**
 * The runs of the chosen study whose names match the filter.
 *
 * @param {Object} index
 * @param {State} state
 * @returns {string[]} In order of their names; without those that hold a
 *     study's report only.
 */
export function selectedRuns(index, state) {
  const { pattern } = compile(state.get("runs"));
  return runsOfStudy(index, state).filter((run) => pattern.test(run));
}

function runsOfStudy(index, state) {
  const study = chosenStudy(index, state);
  const holdsReportOnly = (run) =>
    run === study.document?.run && index.runs[run].info === null;
  return Object.keys(index.runs)
    .filter((run) => index.runs[run].study === study?.study)
    .filter((run) => !holdsReportOnly(run))
    .sort((a, b) => (a < b ? -1 : 1));
}

/**
 * The study that is shown.
 *
 * @param {Object} index
 * @param {State} state
 * @returns {?Object} An item of the index's `studies`.
 */
export function chosenStudy(index, state) {
  const wanted = state.get("study");
  const named = index.studies.find(({ study }) => valueOf(study) === wanted);
  if (named) return named;
  const worth = ({ document: report, num_runs: runs }) =>
    (report && runs > 0 ? 1e9 : 0) + runs;
  const [best] = [...index.studies].sort((a, b) => worth(b) - worth(a));
  return best ?? null;
}

/** How a study stands in the state, where an empty value means any. */
function valueOf(study) {
  return study || ".";
}

/**
 * Compiles a run filter.
 *
 * @param {string} text
 * @returns {{pattern: RegExp, error: ?string}} On an error a pattern that
 *     matches every run.
 */
export function compile(text) {
  if (text.length > MAX_PATTERN_LENGTH) {
    const error = `Longer than ${MAX_PATTERN_LENGTH} characters: all runs shown.`;
    return { pattern: /^/, error };
  }
  try {
    return { pattern: new RegExp(text, "i"), error: null };
  } catch ({ message }) {
    return { pattern: /^/, error: `${message}: all runs shown.` };
  }
}

/** The place of the view that is open. */
class Panel {
  #place;
  #context;
  #module = null;
  #view = null;

  constructor(place, context) {
    this.#place = place;
    this.#context = context;
  }

  update() {
    const id = this.#context.state.get("view");
    const module = VIEWS.find((view) => view.id === id) ?? overview;
    try {
      if (module === this.#module && this.#view) this.#view.update();
      else this.#open(module);
    } catch (error) {
      console.warn("transfusion", error);
      this.#view = null;
      replace(
        this.#place,
        el(
          "div",
          { role: "alert", class: "failed" },
          errorMessage(error, `View: ${module.title}`, () => this.update()),
        ),
      );
    }
  }

  #open(module) {
    this.#view?.destroy();
    this.#view = null;
    this.#module = module;
    const place = el("div", { class: "view" });
    replace(
      this.#place,
      el("h2", { class: "sr-only" }, module.title),
      place,
    );
    document.documentElement.dataset.view = module.id;
    window.scrollTo(0, 0);
    this.#view = module.mount(place, this.#context);
  }
}

function frame(context) {
  const header = controls(context);
  const notices = el("div", { class: "notices" });
  const failure = el("div", { class: "notices", role: "alert" });
  const panel = el("div", { role: "tabpanel", id: "panel", tabindex: 0 });
  const tabs = tabList(context.state);
  let noticed = null;
  return {
    panel,
    all: [
      el(
        "header",
        { class: "top" },
        el(
          "div",
          { class: "top-line" },
          el("h1", {}, "Transfusion"),
          el(
            "p",
            { class: "tagline" },
            "Does transfer learning help here, and which layers carry it?",
          ),
          header.element,
        ),
        failure,
        notices,
        tabs.element,
      ),
      el("main", {}, panel),
      el("div", {
        id: "announcements",
        class: "sr-only",
        role: "status",
        "aria-live": "polite",
      }),
    ],
    update() {
      header.update();
      if (noticed !== context.index) replace(notices, noticesOf(context));
      noticed = context.index;
      const open = tabs.update();
      panel.setAttribute("aria-labelledby", open);
    },
    fail(error) {
      replace(
        failure,
        error && [
          el(
            "p",
            {},
            `The data could not be read again; those from before are shown. ${error.message}`,
          ),
        ],
      );
    },
  };
}

function controls(context) {
  const { state } = context;
  const studies = studyChoice(context);
  const error = el("p", { id: "runs-error", class: "field-error", hidden: true });
  const counts = el("p", { class: "counts" });
  let timer = 0;
  const input = el("input", {
    type: "search",
    size: 24,
    spellcheck: "false",
    autocomplete: "off",
    placeholder: "regular expression",
    "aria-describedby": "runs-error",
    value: state.get("runs"),
    oninput: () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        timer = 0;
        state.set({ runs: input.value.slice(0, 1024) });
      }, TYPING_MILLISECONDS);
    },
  });
  return {
    element: el(
      "div",
      { class: "controls" },
      studies.element,
      field("Runs", input),
      error,
      counts,
    ),
    update() {
      const { index } = context;
      // What is being typed is not in the state yet.
      const isTyped = timer !== 0 || document.activeElement === input;
      if (!isTyped) input.value = state.get("runs");
      const problem = compile(state.get("runs")).error;
      error.hidden = !problem;
      error.textContent = problem ?? "";
      input.setAttribute("aria-invalid", String(Boolean(problem)));
      studies.update();
      // Comparisons are no runs, though they are filtered by name like these.
      const isRun = (run) => index.runs[run].info !== null;
      const selected = context.selectedRuns().filter(isRun);
      const all = runsOfStudy(index, state).filter(isRun);
      const groups = new Set(
        selected.map((run) => index.runs[run].group).filter(Boolean),
      );
      counts.textContent =
        (selected.length === all.length
          ? count(all.length, "run")
          : `${selected.length} of ${count(all.length, "run")}`) +
        ` in ${count(groups.size, "group")}`;
    },
  };
}

/** The list of studies; made anew only when there are others, for the focus. */
function studyChoice(context) {
  const { state } = context;
  const element = el("div", { class: "study" });
  let known = "";
  return {
    element,
    update() {
      const options = studyOptions(context.index);
      const chosen = valueOf(chosenStudy(context.index, state)?.study);
      if (JSON.stringify(options) !== known) {
        known = JSON.stringify(options);
        const list = choice("Study", options, chosen, (study) =>
          state.set({ study, group: "", minus: "", order: "" }),
        );
        replace(element, options.length > 1 && list);
      } else if (options.length > 1) {
        element.querySelector("select").value = chosen;
      }
    },
  };
}

function studyOptions(index) {
  return index.studies.map(({ study, name, num_runs: runs }) => ({
    value: valueOf(study),
    label: `${name || study || "(log directory)"} · ${count(runs, "run")}`,
  }));
}

function noticesOf({ index, state }) {
  const more = (label) =>
    button(label, () => state.set({ view: about.id }), { class: "link" });
  const { limit, set_by: setBy } = index.sampling;
  const notices = [];
  if (setBy === "user" && limit > 0 && limit < 1000) {
    notices.push(
      el(
        "p",
        {},
        `TensorBoard was told to keep ${limit} steps of each series: some ` +
          "steps may be missing here. ",
        more("How to see all"),
      ),
    );
  }
  if (index.problems.length > 0) {
    notices.push(
      el(
        "p",
        {},
        `${count(index.problems.length, "problem")} found in the data. `,
        more("Show"),
      ),
    );
  }
  return notices;
}

function tabList(state) {
  const tabs = VIEWS.map(({ id, title }) =>
    el(
      "button",
      {
        type: "button",
        role: "tab",
        id: `tab-${id}`,
        "aria-controls": "panel",
        onclick: () => state.set({ view: id }),
      },
      title,
    ),
  );
  const go = (event) => {
    const from = tabs.indexOf(document.activeElement);
    const to = {
      ArrowRight: (from + 1) % tabs.length,
      ArrowLeft: (from + tabs.length - 1) % tabs.length,
      Home: 0,
      End: tabs.length - 1,
    }[event.key];
    if (from < 0 || to === undefined) return;
    event.preventDefault();
    tabs[to].focus();
    tabs[to].click();
  };
  return {
    element: el(
      "nav",
      { "aria-label": "Views" },
      el(
        "div",
        { role: "tablist", "aria-label": "Views", onkeydown: go },
        tabs,
      ),
    ),
    update() {
      const view = state.get("view");
      const open = VIEWS.find(({ id }) => id === view) ?? overview;
      for (const [index, tab] of tabs.entries()) {
        const selected = VIEWS[index] === open;
        tab.setAttribute("aria-selected", String(selected));
        tab.tabIndex = selected ? 0 : -1;
      }
      return `tab-${open.id}`;
    },
  };
}

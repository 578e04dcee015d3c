/** @file Where the data come from: TensorBoard's server, or the page itself. */

const API = "./api/v1/";
const MAX_RUNS = 200; // A request; the server refuses more.
const MAX_URL_LENGTH = 32_000;
const MAX_CACHED = 2000;

/** Asks the plugin's routes, and remembers answers until they change. */
export class HttpSource {
  #fetch;
  #index = null;
  #indexText = "";
  #tensors = new Map();
  #curves = new Map();

  /** @param {function(string): Promise<Response>} [get] Instead of `fetch`. */
  constructor(get = (url) => fetch(url)) {
    this.#fetch = get;
  }

  /** @returns {Promise<Object>} The index. */
  index() {
    this.#index ??= this.#readIndex();
    return this.#index;
  }

  /**
   * Asks for the index again and forgets the answers that are out of date.
   *
   * @returns {Promise<Object>} The same object as before if nothing changed.
   */
  async reload() {
    const before = await this.index().catch(() => null);
    this.#index = this.#readIndex(before);
    this.#curves.clear(); // The index does not tell how far a scalar is.
    const after = await this.index();
    for (const key of this.#tensors.keys()) {
      const [tag, , run] = JSON.parse(key);
      const newest = (index) => JSON.stringify(index?.runs[run]?.tags[tag]);
      // A study's report is written again at the same step.
      const { content } = after.runs[run]?.tags[tag] ?? {};
      const isReport = after.contents[content]?.kind === "study";
      if (isReport || newest(before) !== newest(after)) {
        this.#tensors.delete(key);
      }
    }
    return after;
  }

  /**
   * @param {string} tag
   * @param {string[]} runs Any number.
   * @param {"all"|"first"|"last"|number} step
   * @returns {Promise<Object>} The server's answer for all of them.
   */
  async tensors(tag, runs, step = "all") {
    const keys = new Map(
      runs.map((run) => [run, JSON.stringify([tag, step, run])]),
    );
    const missing = runs.filter((run) => !this.#tensors.has(keys.get(run)));
    for (const part of split(missing.map((run) => [run])).parts) {
      const answer = this.#get("tensors", { tag, step }, part);
      for (const run of part) {
        remember(this.#tensors, keys.get(run), answer.then(only(run)));
      }
    }
    return merge(tag, await recall(this.#tensors, [...keys.values()]));
  }

  /**
   * @param {string} tag Of a scalar.
   * @param {string[]} runs Any number.
   * @returns {Promise<Object>} The server's answer for all of them.
   */
  async curves(tag, runs) {
    const index = await this.index();
    const { parts, problems } = split(byGroup(runs, index));
    const keys = parts.map((part) => {
      const key = JSON.stringify([tag, part]);
      if (!this.#curves.has(key)) {
        remember(this.#curves, key, this.#get("curves", { tag }, part));
      }
      return key;
    });
    const answer = merge(tag, await recall(this.#curves, keys));
    answer.problems.push(...problems);
    return answer;
  }

  async #readIndex(before = null) {
    try {
      const text = await this.#getText("index");
      if (text === this.#indexText && before) return before;
      this.#indexText = text;
      return JSON.parse(text);
    } catch (error) {
      this.#index = before && Promise.resolve(before);
      throw error;
    }
  }

  async #get(route, parameters, runs) {
    const query = new URLSearchParams(parameters);
    for (const run of runs) query.append("run", run);
    return JSON.parse(await this.#getText(`${route}?${query}`));
  }

  async #getText(path) {
    let response;
    try {
      response = await this.#fetch(API + path);
    } catch (error) {
      throw new Error(
        "TensorBoard does not answer. Is it still running? Start it again, " +
          "then press its reload button.",
        { cause: error },
      );
    }
    const text = await response.text();
    if (response.ok) return text;
    throw new Error(
      `TensorBoard's server answered ${response.status} to ` +
        `${path.slice(0, 200)}: ${text.slice(0, 500)}`,
    );
  }
}

/** Data that lie in the page. */
export class EmbeddedSource {
  #data;

  /** @param {{index: Object, tensors: Object, curves: Object}} data */
  constructor(data) {
    this.#data = data;
  }

  /** @returns {Promise<Object>} */
  async index() {
    return this.#data.index;
  }

  /** @returns {Promise<Object>} The same: a page does not change. */
  async reload() {
    return this.#data.index;
  }

  /**
   * @param {string} tag
   * @param {string[]} runs
   * @param {"all"|"first"|"last"|number} step
   * @returns {Promise<Object>} As `HttpSource.tensors`.
   */
  async tensors(tag, runs, step = "all") {
    const held = this.#data.tensors[tag] ?? {};
    const found = runs.filter((run) => Object.hasOwn(held, run));
    const content = this.#data.index.runs[found[0]]?.tags[tag]?.content;
    return {
      tag,
      kind: this.#data.index.contents[content]?.kind ?? null,
      runs: Object.fromEntries(
        found.map((run) => [run, atStep(held[run], step)]),
      ),
      problems: [],
    };
  }

  /**
   * @param {string} tag
   * @param {string[]} runs
   * @returns {Promise<Object>} As `HttpSource.curves`; a group of which only
   *     some runs are asked for has no mean.
   */
  async curves(tag, runs) {
    const held = this.#data.curves[tag] ?? { runs: {}, groups: {} };
    const asked = new Set(runs);
    const answer = { tag, runs: {}, groups: {}, problems: [] };
    for (const [run, curve] of Object.entries(held.runs)) {
      if (asked.has(run)) answer.runs[run] = curve;
    }
    for (const [key, group] of Object.entries(held.groups)) {
      const part = this.#partOfGroup(key, group, asked);
      if (part) answer.groups[key] = part;
    }
    return answer;
  }

  #partOfGroup(key, group, asked) {
    const members = this.#data.index.groups[key]?.runs ?? [];
    const chosen = members.filter((run) => asked.has(run));
    if (chosen.length === 0) return null;
    if (chosen.length === members.length) return group;
    const { runs } = this.#data.index;
    const kept = new Set(chosen.map((run) => String(runs[run].info.seed)));
    const seeds = Object.fromEntries(
      Object.entries(group.seeds).filter(([seed]) => kept.has(seed)),
    );
    return {
      ...group,
      mean: null,
      low: null,
      high: null,
      seeds,
      num_seeds: Object.keys(seeds).length,
    };
  }
}

function atStep(series, step) {
  if (step === "all") return series;
  const last = series.steps.length - 1;
  const index =
    { first: Math.min(0, last), last }[step] ??
    series.steps.indexOf(Number(step));
  const pick = (list) => (index < 0 ? [] : [list[index]]);
  return {
    ...series,
    steps: pick(series.steps),
    wall_times: pick(series.wall_times ?? series.steps),
    values: pick(series.values),
  };
}

/** Runs of a group in one list: the server averages what a request holds. */
function byGroup(runs, index) {
  const units = new Map();
  for (const run of runs) {
    const group = index.runs[run]?.group;
    const key = group ? `group ${group}` : `run ${run}`;
    if (!units.has(key)) units.set(key, []);
    units.get(key).push(run);
  }
  return [...units.values()];
}

/** Packs units of runs into requests that are neither too many nor too long. */
function split(units) {
  const parts = [];
  const problems = [];
  let length = 0;
  for (const unit of units) {
    const fitting = fit(unit);
    if (fitting.length < unit.length) {
      problems.push({
        run: unit[0],
        tag: "",
        message:
          `Of the ${unit.length} runs of a group, ${fitting.length} are ` +
          "shown: a request holds no more. Narrow the run filter.",
      });
    }
    const added = sum(fitting);
    const part = parts.at(-1);
    const fits =
      part &&
      part.length + fitting.length <= MAX_RUNS &&
      length + added <= MAX_URL_LENGTH;
    if (fits) {
      part.push(...fitting);
      length += added;
    } else {
      parts.push(fitting);
      length = added;
    }
  }
  return { parts, problems };
}

function fit(runs) {
  let length = 0;
  return runs.filter((run, index) => {
    length += sum([run]);
    return index < MAX_RUNS && (length <= MAX_URL_LENGTH || index === 0);
  });
}

function sum(runs) {
  return runs.reduce(
    (total, run) => total + encodeURIComponent(run).length + "&run=".length,
    0,
  );
}

function only(run) {
  return (answer) => ({
    ...answer,
    runs: Object.hasOwn(answer.runs, run) ? { [run]: answer.runs[run] } : {},
    problems: answer.problems.filter(
      (problem) => !problem.run || problem.run === run,
    ),
  });
}

function merge(tag, answers) {
  const merged = { tag, kind: null, runs: {}, groups: {}, problems: [] };
  for (const answer of answers) {
    merged.kind ??= answer.kind;
    Object.assign(merged.runs, answer.runs);
    Object.assign(merged.groups, answer.groups);
    merged.problems.push(...answer.problems);
  }
  return merged;
}

function remember(cache, key, answer) {
  cache.set(key, answer);
  // What failed is asked for again the next time.
  answer.catch(() => cache.get(key) === answer && cache.delete(key));
}

function recall(cache, keys) {
  const answers = keys.map((key) => {
    const answer = cache.get(key);
    // Those used last stand last.
    cache.delete(key);
    cache.set(key, answer);
    return answer;
  });
  while (cache.size > Math.max(MAX_CACHED, keys.length)) {
    cache.delete(cache.keys().next().value);
  }
  return Promise.all(answers);
}

/** @file A heat map's card, and beside it the profile of a row or column. */

import { card } from "../card.js";
import { lineChart } from "../chart.js";
import { GREY, groupLook } from "../colors.js";
import { el, replace } from "../dom.js";
import { integer, interval, isNumber, number, signed } from "../format.js";
import { heatmap } from "../heatmap.js";
import { difference, slice, withinNull } from "../matrix.js";
import { extent } from "../scale.js";
import {
  allSteps,
  lookOf,
  planesOf,
  runTitle,
  stepPlace,
} from "./common.js";

const PROFILE_HEIGHT = 420;

/**
 * The heat maps that are drawn: those in the window follow the state at once,
 * the others when they come into it.
 */
export class Maps {
  #entries = new Map();
  #observer;

  constructor() {
    this.#observer = new IntersectionObserver((changes) => {
      for (const { target, isIntersecting } of changes) {
        const entry = this.#entries.get(target);
        if (!entry) continue;
        entry.visible = isIntersecting;
        this.#refresh(entry);
      }
    });
  }

  /**
   * @param {SVGElement} node
   * @param {function(): void} update
   */
  add(node, update) {
    // A card that is drawn anew, or is gone, leaves its map behind.
    for (const old of this.#entries.keys()) {
      if (!old.isConnected) this.#forget(old);
    }
    this.#entries.set(node, { update, visible: false, stale: false });
    this.#observer.observe(node);
  }

  /** The state has changed. */
  update() {
    for (const entry of this.#entries.values()) {
      entry.stale = true;
      this.#refresh(entry);
    }
  }

  /** Ends it. */
  destroy() {
    this.#observer.disconnect();
    this.#entries.clear();
  }

  #refresh(entry) {
    if (!entry.visible || !entry.stale) return;
    entry.stale = false;
    entry.update();
  }

  #forget(node) {
    this.#observer.unobserve(node);
    this.#entries.delete(node);
  }
}

/**
 * A card with a heat map, and one with a profile while a layer is chosen.
 *
 * @param {{context: Object, maps: Maps, steps: Object}} view
 * @param {Object} item A tensor, as of `tensorsOfKind`; `other` is that to
 *     subtract, if any.
 * @returns {HTMLElement} With `reload()` and `updateProfile()`.
 */
export function pair(view, item) {
  const element = el("div", {
    style: {
      display: "grid",
      gap: "14px",
      "grid-template-columns":
        "repeat(auto-fit, minmax(min(100%, 480px), 1fr))",
    },
  });
  const map = mapCard(view, item, element);
  let profile = null;
  element.append(map);
  element.reload = () => {
    map.reload();
    profile?.reload();
  };
  element.updateProfile = () => {
    const wanted = selectedOf(view.context, item.content);
    if (wanted && !profile) {
      profile = profileCard(view, item);
      element.append(profile);
    } else if (!wanted && profile) {
      profile.remove();
      profile = null;
    } else profile?.redraw();
  };
  element.updateProfile();
  return element;
}

function headingOf({ index }, { run, content, other }) {
  const who =
    content.comparison === "between_runs"
      ? `${content.rows.title} and ${content.columns.title}`
      : runTitle(index, run);
  const less = other ? ` less ${runTitle(index, other.run)}` : "";
  return `${who}${less}: ${content.measure.label}`;
}

async function load(context, item) {
  const own = await allSteps(context, item);
  const other = item.other ? await allSteps(context, item.other) : null;
  const value = item.content.planes.indexOf("value");
  const numbers = other
    ? own.values.flatMap((planes, i) => {
        const place = stepPlace(other.steps, String(own.steps[i]));
        const otherValue = item.other.content.planes.indexOf("value");
        return difference(planes[value], other.values[place][otherValue]);
      })
    : own.values.flatMap((planes) => planes[value]);
  return { own, other, fitted: extent(numbers.flat()) };
}

/** What is shown of a card's data at the chosen step. */
function shownOf({ state }, item, { own, other }) {
  const chosen = state.get("step");
  const place = stepPlace(own.steps, chosen);
  const step = own.steps[place];
  const planes = planesOf(item.content, own.values[place]);
  if (!other) return { step, planes, values: planes.value };
  const otherPlace = stepPlace(other.steps, chosen);
  const otherPlanes = planesOf(item.other.content, other.values[otherPlace]);
  return {
    step,
    otherStep: other.steps[otherPlace],
    planes,
    otherPlanes,
    values: difference(planes.value, otherPlanes.value),
  };
}

function mapCard(view, item, element) {
  const { context, maps, steps } = view;
  const { content } = item;
  const isDifference = Boolean(item.other);
  return card({
    title: headingOf(context, item),
    fileName: `similarity-${item.run}-${content.measure.id}`,
    note: [
      el("p", {}, content.what),
      isDifference
        ? el("p", {}, "Blue: more alike here; red: less; white: the same.")
        : null,
    ],
    load: async () => {
      const data = await load(context, item);
      steps.add(data.own.steps);
      return data;
    },
    draw: (container, data) => {
      const current = () => mapState(context, item, data);
      const drawn = heatmap(
        {
          rows: content.rows,
          columns: content.columns,
          width: container.clientWidth,
          colormap: isDifference ? "diverging" : "viridis",
          scaleTitle: scaleTitle(content.measure, isDifference),
          markedTitle: "not above the null level",
          read: (row, column) => readCell(context, item, data, row, column),
          onSelect: (axis, index) => select(view, item, element, axis, index),
          announce: context.announce,
        },
        current(),
      );
      replace(container, drawn.node);
      maps.add(drawn.node, () => drawn.update(current()));
    },
    table: (data) => tableOf(context, item, data),
  });
}

function scaleTitle({ label, larger_is_more_similar: larger }, isDifference) {
  if (isDifference) return `difference of ${label}`;
  return larger ? label : `${label} (smaller is more alike)`;
}

function mapState(context, item, data) {
  const { content } = item;
  const shown = shownOf(context, item, data);
  const nulls = item.other ? null : (shown.planes.null ?? null);
  return {
    title: `${headingOf(context, item)}, ${stepText(shown)}`,
    values: shown.values,
    nulls,
    marked: withinNull(
      shown.values,
      nulls,
      content.measure.larger_is_more_similar,
    ),
    domain: domainOf(context, item, data),
    selected: selectedOf(context, content),
  };
}

function stepText({ step, otherStep }) {
  return otherStep === undefined || otherStep === step
    ? `step ${integer(step)}`
    : `step ${integer(step)} less step ${integer(otherStep)}`;
}

function domainOf({ state }, { content, other }, { fitted }) {
  const whole = wholeRange(content.measure);
  const isFit = state.get("range") === "fit" || whole === null;
  const [low, high] = whole ?? [];
  if (other) {
    const size = isFit
      ? Math.max(...(fitted ?? [0]).map(Math.abs)) || 1
      : high - low;
    return [-size, size];
  }
  if (!isFit) return [low, high];
  const [least, most] = fitted ?? [0, 1];
  return least < most ? [least, most] : [least - 0.5, most + 0.5];
}

/** From 0 where chance alone goes below; null of a measure without an end. */
function wholeRange({ range: [low, high] }) {
  return isNumber(high) ? [isNumber(low) ? low : 0, high] : null;
}

/** The layer whose profile is open, if this heat map has it. */
function selectedOf({ state }, content) {
  const axis = state.get("layer_axis");
  if (axis !== "row" && axis !== "column") return null;
  const index = content[`${axis}s`].layers.indexOf(state.get("layer"));
  return index < 0 ? null : { axis, index };
}

function select({ context }, { content }, element, axis, index) {
  const layer = content[`${axis}s`].layers[index];
  const { state } = context;
  const isOpen =
    state.get("layer") === layer && state.get("layer_axis") === axis;
  state.set(
    isOpen ? { layer: "", layer_axis: "" } : { layer, layer_axis: axis },
  );
  context.announce(
    isOpen ? "Profile closed" : `Profile of ${axis} ${layer} opened`,
  );
  // With profiles beside them the cards stand elsewhere.
  element.scrollIntoView({ block: "nearest" });
}

function readCell(context, item, data, row, column) {
  const { content } = item;
  const { planes, otherPlanes, values } = shownOf(context, item, data);
  const at = (plane) => plane?.[row][column];
  const names = `${content.rows.layers[row]} and ${content.columns.layers[column]}`;
  if (!isNumber(values[row][column])) return [names, "undefined"];
  if (otherPlanes) {
    return [
      names,
      `${number(at(planes.value))} less ${number(at(otherPlanes.value))}: ` +
        signed(values[row][column]),
    ];
  }
  const score = interval({
    mean: at(planes.value),
    low: at(planes.low),
    high: at(planes.high),
  });
  const lines = [names, `${content.measure.label} ${score}`];
  if (isNumber(at(planes.null))) {
    const [[isWithin]] = withinNull(
      [[at(planes.value)]],
      [[at(planes.null)]],
      content.measure.larger_is_more_similar,
    );
    lines.push(
      `null level ${number(at(planes.null))}` +
        (isWithin ? ": not above it" : ""),
    );
  }
  return lines;
}

function tableOf(context, item, data) {
  const { content } = item;
  const { step, planes, otherPlanes, values } = shownOf(context, item, data);
  const extra = otherPlanes
    ? [
        [runTitle(context.index, item.run), planes.value],
        [runTitle(context.index, item.other.run), otherPlanes.value],
      ]
    : content.planes
        .filter((name) => name !== "value")
        .map((name) => [name === "null" ? "null level" : name, planes[name]]);
  return {
    columns: [
      "step",
      content.rows.title,
      content.columns.title,
      otherPlanes ? "difference" : content.measure.label,
      ...extra.map(([name]) => name),
    ],
    rows: content.rows.layers.flatMap((rowName, r) =>
      content.columns.layers.map((columnName, c) => [
        integer(step),
        rowName,
        columnName,
        values[r][c],
        ...extra.map(([, plane]) => plane[r][c]),
      ]),
    ),
  };
}

/** The scores of one layer with all of the other side. */
function profileCard(view, item) {
  const { context } = view;
  const { content } = item;
  const named = () => {
    const selected = selectedOf(context, content);
    if (!selected) return null;
    const [own, other] =
      selected.axis === "row"
        ? [content.rows, content.columns]
        : [content.columns, content.rows];
    return { ...selected, layer: own.layers[selected.index], own, other };
  };
  return card({
    title: "Profile of a layer",
    fileName: `profile-${item.run}-${content.measure.id}`,
    note: () => {
      const { layer, own, other } = named();
      return `${layer} of ${own.title}, compared with each layer of ${other.title}.`;
    },
    load: () => load(context, item),
    draw: (container, data) => {
      const selected = named();
      if (!selected) return;
      const shown = shownOf(context, item, data);
      replace(
        container,
        lineChart({
          title: `${selected.layer} (${selected.own.title}), ${stepText(shown)}`,
          width: container.clientWidth,
          height: PROFILE_HEIGHT,
          x: {
            label: `layer of ${selected.other.title}`,
            categories: selected.other.layers,
          },
          y: {
            label: content.measure.label,
            domain: profileDomain(context, item),
          },
          series: profileSeries(context, item, shown, selected),
          legend: shown.planes.null ? [NULL_ENTRY] : [],
          announce: context.announce,
        }),
      );
    },
    table: (data) => profileTable(context, item, data, named()),
  });
}

const NULL_ENTRY = { label: "null level", color: GREY, dash: "4 3", width: 1 };

function profileDomain({ state }, { content }) {
  const isFixed = state.get("range") === "fixed";
  return (isFixed && wholeRange(content.measure)) || undefined;
}

function profileSeries(context, item, shown, { axis, index }) {
  const { runs } = context.index;
  const sides = [[item, shown.planes]];
  if (item.other) sides.push([item.other, shown.otherPlanes]);
  return sides.flatMap(([{ run }, planes], i) => {
    const look = item.other
      ? groupLook(i)
      : lookOf(context, (_, key) => key === runs[run].group);
    const points = (plane) =>
      slice(plane, axis, index).map((value, x) => [x, value]);
    return [
      {
        ...look,
        dash: "",
        label: runTitle(context.index, run),
        points: points(planes.value),
        low: planes.low && slice(planes.low, axis, index),
        high: planes.high && slice(planes.high, axis, index),
      },
      ...(planes.null
        ? [
            {
              ...NULL_ENTRY,
              color: look.color,
              points: points(planes.null),
              silent: true,
              inLegend: false,
            },
          ]
        : []),
    ];
  });
}

function profileTable(context, item, data, selected) {
  if (!selected) return { columns: ["layer"], rows: [] };
  const { layer, axis, index, other } = selected;
  const { planes, otherPlanes } = shownOf(context, item, data);
  const columns = [
    ...content(item, planes, runTitle(context.index, item.run)),
    ...(otherPlanes
      ? content(item.other, otherPlanes, runTitle(context.index, item.other.run))
      : []),
  ];
  return {
    columns: [`layer of ${other.title}`, ...columns.map(([name]) => name)],
    rows: other.layers.map((name, i) => [
      name,
      ...columns.map(([, plane]) => slice(plane, axis, index)[i]),
    ]),
  };

  function content({ content: { planes: names } }, values, who) {
    return names.map((name) => [
      name === "value" ? `${layer} of ${who}` : `${name}, ${who}`,
      values[name],
    ]);
  }
}

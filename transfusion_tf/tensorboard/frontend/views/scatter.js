/** @file Whether runs that began alike ended alike: points with a fitted line. */

import { card } from "../card.js";
import { lineChart } from "../chart.js";
import { GREY } from "../colors.js";
import { el, emptyState, replace } from "../dom.js";
import { isNumber, number } from "../format.js";
import { extent, niceDomain } from "../scale.js";
import { CardList, cardGrid, lookOf, studyDocument } from "./common.js";

export const id = "scatter";
export const title = "Scatter";

const CARD_WIDTH = 460;

/**
 * @param {Element} root
 * @param {Object} context
 * @returns {{update: function(): void, destroy: function(): void}}
 */
export function mount(root, context) {
  const empty = el("div");
  const grid = cardGrid(CARD_WIDTH);
  const cards = new CardList(grid);
  replace(
    root,
    el(
      "p",
      { class: "hint", style: { "margin-bottom": "10px" } },
      "Each point is a pair of runs: how alike they were at initialization, and " +
        "how alike after training (the paper's Figure 4). A steep line with a " +
        "large R² says that what training ends with was there at its start.",
    ),
    empty,
    grid,
  );
  let turn = 0;

  const update = async () => {
    turn += 1;
    const own = turn;
    let items = [];
    let problem = null;
    try {
      items = (await studyDocument(context))?.scatter ?? [];
    } catch (error) {
      problem = error;
    }
    if (own !== turn) return;
    replace(empty, items.length === 0 ? nothing(problem) : null);
    cards.show(
      items.map((item, place) => {
        const text = JSON.stringify(item);
        return {
          key: `${place} ${text}`,
          version: text,
          make: () => scatterCard(context, item),
        };
      }),
    );
  };
  update();
  return {
    update,
    destroy: () => {
      turn += 1;
    },
  };
}

function nothing(problem) {
  if (problem) {
    return emptyState("The study's report could not be read", problem.message);
  }
  return emptyState(
    "No pairs of runs yet",
    "Compare the runs of a study with each other, at initialization and after " +
      "training; the report then has the points.",
    [
      "python -m launch.similarity --study_dir=runs/demo",
      "python -m launch.report --study_dir=runs/demo",
    ],
  );
}

function scatterCard(context, item) {
  return card({
    title: item.title,
    fileName: `scatter-${item.title}`,
    note: [
      el("p", {}, fitText(item)),
      item.note ? el("p", {}, item.note) : null,
    ],
    load: async () => item,
    draw: (container) => {
      const equal = isOneScale(item);
      replace(
        container,
        lineChart({
          title: item.title,
          width: container.clientWidth,
          height: 400,
          x: { label: item.x_label, domain: equal ? null : xDomain(item) },
          y: { label: item.y_label },
          equal,
          series: [
            ...(equal ? [diagonal(item)] : []),
            ...fitLine(item),
            ...groupsOf(context, item),
          ],
          announce: context.announce,
        }),
      );
    },
    table: () => ({
      columns: ["group", "point", item.x_label, item.y_label],
      rows: item.points.map(({ group, label, x, y }) => [group, label, x, y]),
    }),
  });
}

function fitText({ fit, points }) {
  if (!fit || !isNumber(fit.r2)) {
    return (
      `R² is not determined: ${points.length} points are too few, or have all ` +
      "the same place on an axis."
    );
  }
  const r2 = r2Text(fit);
  const sign = fit.intercept < 0 ? "−" : "+";
  return (
    `R² ${r2}, n = ${fit.num_points}; by least squares ` +
    `y = ${number(fit.slope, 2)} x ${sign} ${number(Math.abs(fit.intercept), 2)}.`
  );
}

/** A share: a small one is 0.00, not a power of ten. */
function r2Text({ r2, r2_low: low, r2_high: high }) {
  const text = (value) => (isNumber(value) ? value.toFixed(2) : "–");
  return `${text(r2)} (${text(low)} to ${text(high)})`;
}

/** Similarities lie from 0 to 1: one scale shows what has changed. */
function isOneScale({ points }) {
  const all = extent(points.flatMap(({ x, y }) => [x, y]));
  return all !== null && all[0] >= -0.1 && all[1] <= 1.1;
}

/** To the next ticks and a little more: no point on the frame. */
function xDomain({ points }) {
  const [low, high] = niceDomain(extent(points.map(({ x }) => x)) ?? [0, 1], 5);
  const margin = 0.03 * (high - low);
  return [low - margin, high + margin];
}

function diagonal({ points }) {
  const [low, high] = extent(points.flatMap(({ x, y }) => [x, y]));
  return {
    label: "as at initialization",
    color: GREY,
    dash: "2 3",
    width: 1,
    silent: true,
    points: [
      [low, low],
      [high, high],
    ],
  };
}

function fitLine({ fit, points }) {
  const range = extent(points.map(({ x }) => x));
  if (!fit || !range) return [];
  const { slope, intercept, num_points: n } = fit;
  const r2 = r2Text(fit);
  return [
    {
      label: `least squares: R² ${r2}, n = ${n}`,
      color: "currentColor",
      dash: "7 4",
      width: 1.5,
      silent: true,
      points: range.map((x) => [x, slope * x + intercept]),
    },
  ];
}

function groupsOf(context, { points, x_label: xLabel, y_label: yLabel }) {
  const names = [...new Set(points.map(({ group }) => group))];
  return names.map((name, place) => {
    const members = points
      .filter(({ group, x, y }) => group === name && isNumber(x) && isNumber(y))
      .sort((a, b) => a.x - b.x);
    return {
      ...lookOf(context, ({ label }) => label === name, place),
      label: name,
      line: false,
      points: members.map(({ x, y }) => [x, y]),
      read: (i) => [
        `${name}: ${members[i].label}`,
        `${xLabel} ${number(members[i].x)}`,
        `${yLabel} ${number(members[i].y)}`,
      ],
    };
  });
}

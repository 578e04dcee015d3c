import assert from "node:assert/strict";
import test from "node:test";

import {
  DEFAULTS,
  State,
  parse,
  serialize,
} from "../../../transfusion_tf/tensorboard/frontend/state.js";

const HOSTILE = "run with space & <b>ünï</b>=?#%20+";

test("every value comes back from the URL", () => {
  const state = Object.fromEntries(
    Object.keys(DEFAULTS).map((key) => [key, `${key} ${HOSTILE}`]),
  );
  Object.assign(state, { band: "seeds", logx: "on", range: "fit" });
  for (const prefix of ["", "p.transfusion."]) {
    assert.deepEqual(parse(serialize(state, prefix), prefix), state);
  }
});

test("defaults are left out of the URL", () => {
  assert.equal(serialize(DEFAULTS), "");
  assert.equal(
    serialize({ ...DEFAULTS, view: "curves" }, "p.transfusion."),
    "p.transfusion.view=curves",
  );
});

test("what is unknown, too long or no choice is not taken", () => {
  const long = "x".repeat(1025);
  const text = `view=about&evil=1&__proto__=x&constructor=x&band=all&logx=1&study=${long}`;
  assert.deepEqual(parse(text), { ...DEFAULTS, view: "about" });
});

test("keys of others are not ours", () => {
  const text = "transfusion&p.other.view=about&view=curves";
  assert.deepEqual(parse(text, "p.transfusion."), { ...DEFAULTS });
});

test("listeners hear once of what changed, and only then", () => {
  const state = new State({ view: "curves" });
  const heard = [];
  const end = state.subscribe((changed) => heard.push([...changed]));
  state.set({ view: "curves", band: "band" });
  assert.deepEqual(heard, []);
  state.set({ view: "about", step: "44", band: "band" });
  assert.deepEqual(heard, [["view", "step"]]);
  assert.equal(state.get("step"), "44");
  end();
  state.set({ step: "" });
  assert.equal(heard.length, 1);
});

test("a mistaken key or value is an error, not a silent default", () => {
  const state = new State();
  assert.throws(() => state.get("veiw"), /veiw/);
  assert.throws(() => state.set({ veiw: "x" }), /veiw/);
  assert.throws(() => state.set({ band: "wide" }), /wide/);
});

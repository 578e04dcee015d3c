import assert from "node:assert/strict";
import test from "node:test";

import {
  EmbeddedSource,
  HttpSource,
} from "../../../transfusion_tf/tensorboard/frontend/source.js";

/** A server of runs `r0`, `r1` ..., three of each group, that counts. */
class Server {
  constructor(numRuns, width = 1) {
    this.names = Array.from({ length: numRuns }, (_, i) =>
      `r${i}`.padEnd(width, "&"),
    );
    this.steps = Object.fromEntries(this.names.map((run) => [run, 0]));
    this.requests = [];
    this.status = 200;
    this.kind = "similarity";
    this.source = new HttpSource((url) => this.get(url));
  }

  get(url) {
    const { pathname, searchParams } = new URL(url, "http://host/");
    const runs = searchParams.getAll("run");
    this.requests.push({ route: pathname.split("/").at(-1), runs, url });
    const answer = pathname.endsWith("index")
      ? this.index()
      : { tag: searchParams.get("tag"), kind: "k", ...this.about(runs) };
    return Promise.resolve({
      ok: this.status === 200,
      status: this.status,
      text: async () => JSON.stringify(answer),
    });
  }

  index() {
    const runs = {};
    for (const [i, run] of this.names.entries()) {
      const tags = { t: { content: 0, max_step: this.steps[run] } };
      runs[run] = { group: `g${Math.floor(i / 3)}`, tags };
    }
    return { runs, contents: [{ kind: this.kind }] };
  }

  about(runs) {
    return {
      runs: Object.fromEntries(runs.map((run) => [run, this.steps[run]])),
      groups: Object.fromEntries(
        runs.map((run) => [this.index().runs[run].group, runs.length]),
      ),
      problems: runs.map((run) => ({ run, tag: "t", message: "m" })),
    };
  }

  asked(route) {
    return this.requests.filter((request) => request.route === route);
  }
}

test("more than 200 runs are several requests and one answer", async () => {
  const server = new Server(500);
  const answer = await server.source.tensors("t", server.names);
  assert.deepEqual(Object.keys(answer.runs), server.names);
  assert.equal(answer.kind, "k");
  assert.equal(answer.problems.length, 500);
  const sizes = server.asked("tensors").map(({ runs }) => runs.length);
  assert.deepEqual(sizes, [200, 200, 100]);
});

test("long names make shorter requests", async () => {
  const server = new Server(100, 1000);
  await server.source.tensors("t", server.names);
  const requests = server.asked("tensors");
  assert.ok(requests.length > 1);
  for (const { url } of requests) assert.ok(url.length < 40_000);
  assert.deepEqual(requests.flatMap(({ runs }) => runs), server.names);
});

test("the runs of a group are never split", async () => {
  const server = new Server(301);
  const answer = await server.source.curves("c", server.names);
  assert.equal(Object.keys(answer.groups).length, 101);
  for (const { runs } of server.asked("curves")) {
    assert.ok(runs.length <= 200);
    const of = (run) => Math.floor(Number(run.slice(1)) / 3);
    const whole = server.names.filter((run) => runs.some((r) => of(r) === of(run)));
    assert.deepEqual(runs, whole);
  }
});

test("what is known is not asked for again, each step on its own", async () => {
  const server = new Server(3);
  const { source } = server;
  await source.tensors("t", ["r0", "r1"], "last");
  await source.tensors("t", ["r1", "r2"], "last");
  await source.tensors("t", ["r0", "r1", "r2"], "last");
  assert.deepEqual(
    server.asked("tensors").map(({ runs }) => runs),
    [["r0", "r1"], ["r2"]],
  );
  await source.tensors("t", ["r0"], "first");
  assert.equal(server.asked("tensors").length, 3);
});

test("a reload asks again for what has changed only", async () => {
  const server = new Server(3);
  const { source } = server;
  const before = await source.index();
  await source.tensors("t", server.names);
  assert.equal(await source.reload(), before);
  await source.tensors("t", server.names);
  assert.equal(server.asked("tensors").length, 1);

  server.steps.r1 = 44;
  const after = await source.reload();
  assert.equal(after.runs.r1.tags.t.max_step, 44);
  const answer = await source.tensors("t", server.names);
  assert.deepEqual(answer.runs, { r0: 0, r1: 44, r2: 0 });
  assert.deepEqual(server.asked("tensors")[1].runs, ["r1"]);
});

test("a reload asks for a report again, whose step stays the same", async () => {
  const server = new Server(1);
  server.kind = "study";
  await server.source.tensors("t", ["r0"]);
  await server.source.reload();
  await server.source.tensors("t", ["r0"]);
  assert.equal(server.asked("tensors").length, 2);
});

test("a reload asks for scalars again, whose steps no index tells", async () => {
  const server = new Server(3);
  await server.source.curves("c", server.names);
  await server.source.curves("c", server.names);
  assert.equal(server.asked("curves").length, 1);
  await server.source.reload();
  await server.source.curves("c", server.names);
  assert.equal(server.asked("curves").length, 2);
});

test("an answer that is an error says so, and is asked for again", async () => {
  const server = new Server(1);
  const index = await server.source.index();
  server.status = 503;
  await assert.rejects(server.source.tensors("t", ["r0"]), /503/);
  await assert.rejects(server.source.reload(), /503/);
  server.status = 200;
  assert.equal(await server.source.index(), index);
  assert.deepEqual((await server.source.tensors("t", ["r0"])).runs, { r0: 0 });
});

test("a server that is gone is named", async () => {
  const source = new HttpSource(() => Promise.reject(new Error("refused")));
  await assert.rejects(source.index(), /does not answer/);
});

const SERIES = {
  steps: [0, 44, 88],
  wall_times: [1, 2, 3],
  shape: [1],
  values: [[1], [null], [3]],
};
const CURVE = { steps: [0], values: [1] };
const EMBEDDED = {
  index: {
    contents: [{ kind: "filters" }],
    runs: {
      a: { info: { seed: 0 }, tags: { t: { content: 0 } } },
      b: { info: { seed: 1 }, tags: {} },
      c: { info: { seed: 2 }, tags: {} },
    },
    groups: { g: { runs: ["a", "b", "c"] } },
  },
  tensors: { t: { a: SERIES } },
  curves: {
    c: {
      runs: { a: CURVE, b: CURVE, c: CURVE },
      groups: {
        g: {
          steps: [0],
          mean: [1],
          low: [1],
          high: [1],
          num_seeds: 3,
          seeds: { 0: CURVE, 1: CURVE, 2: CURVE },
        },
      },
    },
  },
};

test("data in the page are picked by step", async () => {
  const source = new EmbeddedSource(EMBEDDED);
  const steps = async (step) => {
    const answer = await source.tensors("t", ["a", "missing"], step);
    assert.equal(answer.kind, "filters");
    return [answer.runs.a.steps, answer.runs.a.values];
  };
  assert.deepEqual(await steps("all"), [SERIES.steps, SERIES.values]);
  assert.deepEqual(await steps("first"), [[0], [[1]]]);
  assert.deepEqual(await steps("last"), [[88], [[3]]]);
  assert.deepEqual(await steps(44), [[44], [[null]]]);
  assert.deepEqual(await steps(45), [[], []]);
});

test("part of a group in the page has no mean", async () => {
  const source = new EmbeddedSource(EMBEDDED);
  const whole = await source.curves("c", ["a", "b", "c"]);
  assert.deepEqual(whole.groups.g.mean, [1]);
  const part = await source.curves("c", ["a", "c"]);
  assert.equal(part.groups.g.mean, null);
  assert.equal(part.groups.g.num_seeds, 2);
  assert.deepEqual(Object.keys(part.groups.g.seeds), ["0", "2"]);
  assert.deepEqual((await source.curves("other", ["a"])).runs, {});
});

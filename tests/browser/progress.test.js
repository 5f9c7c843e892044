import assert from "node:assert/strict";
import test from "node:test";

import { foresee } from "../../bwcache/ui/static/panel/progress.js";
import { foreseen } from "../../bwcache/ui/static/panel/race.js";

const run = (letters, s, steps = 10, more = {}) => ({
  rows: [...letters].map((a) => ({ a })), s, steps, started: letters.length > 0, ...more,
});

test("nobody knows how long before the first step", () => {
  assert.equal(foresee({ runs: { baseline: run("", 0), cached: run("", 0) } }), null);
});

test("a run that has not begun is as slow as the uncached one", () => {
  const found = foresee({ runs: { baseline: run("CCCCC", 5), cached: run("", 0) } });
  assert.deepEqual(found, { value: 5 / 20, left: 15 });
});

test("a remembered run costs nothing", () => {
  const baseline = run("C".repeat(10), 10, 10, { remembered: true });
  assert.equal(foresee({ runs: { baseline, cached: run("", 0) } }), null);
  const found = foresee({ runs: { baseline, cached: run("CCCCC", 4) } });
  assert.deepEqual(found, { value: 0.5, left: 4 });
});

test("the control takes as many steps as were computed", () => {
  const runs = {
    baseline: run("C".repeat(10), 10), cached: run("CCCCrrrrCC", 6), control: run("", 0),
  };
  assert.deepEqual(foresee({ runs }), { value: 16 / 22, left: 6 });
});

test("it is over when nothing is left", () => {
  const runs = { baseline: run("C".repeat(10), 10), cached: run("C".repeat(10), 10) };
  assert.equal(foresee({ runs }), null);
});

test("a bar's end is foreseen from its steps so far", () => {
  assert.equal(foreseen(run("CC", 3)), 15);
  assert.equal(foreseen(run("", 0)), 0);
});

import assert from "node:assert/strict";
import test from "node:test";

import { ticks } from "../../bwcache/ui/static/panel/race.js";
import { headline } from "../../bwcache/ui/static/panel/result.js";
import { logTicks, stepsBack } from "../../bwcache/ui/static/steps/indicator_curve.js";
import { lettersOf, stretches } from "../../bwcache/ui/static/steps/transformer.js";
import { createNumbers } from "../../bwcache/ui/static/lib/numbers.js";
import { pictureAt } from "../../bwcache/ui/static/videos/scrubber.js";

globalThis.location = { search: "", pathname: "/", hash: "" }; // which the page's modules look at
globalThis.addEventListener = () => {};

const { speedOf } = await import("../../bwcache/ui/static/page/history.js");
const { actionOf } = await import("../../bwcache/ui/static/page/keys.js");

const texts = {
  locale: "en-GB", speedup: "as fast", speedup_of: "±{spread} %, at most {ceiling}×",
  about: "about {x}×", speedup_busy: "busy", reused: "steps reused",
};
const panel = { texts, numbers: createNumbers(texts) };
const row = { steps_reused: 13, steps_computed: 17, speedup: 1.752 };

test("the headline is the speed-up, and what the race says of it", () => {
  assert.deepEqual(headline(row, null, panel), { figure: "1.75×", about: "as fast" });
  const speed = { busy: false, ceiling: 1.76, spread: 0.04, robust: 1.71 };
  assert.deepEqual(
    headline(row, speed, panel), { figure: "1.75×", about: "±4 %, at most 1.76×" },
  );
  const unknown = { ...speed, spread: null };
  assert.deepEqual(headline(row, unknown, panel), { figure: "1.75×", about: "as fast" });
});

test("a busy machine's figure is never a plain fact", () => {
  const speed = { busy: true, ceiling: 1.76, spread: 0.3, robust: 1.71 };
  assert.deepEqual(headline(row, speed, panel), { figure: "about 1.7×", about: "busy" });
  assert.equal(speedOf([{ k: "speed", ...speed }, { k: "done", ...row }], panel), "about 1.7×");
  assert.equal(speedOf([{ k: "done", ...row }], panel), "1.75×");
});

test("where nothing was reused there is no gain", () => {
  const nothing = { steps_reused: 0, steps_computed: 30, speedup: 1.02 };
  assert.deepEqual(headline(nothing, null, panel), { figure: "0 / 30", about: "steps reused" });
});

test("the clock's ticks are round and few", () => {
  assert.deepEqual(ticks(3.6), [0, 1, 2, 3]);
  assert.deepEqual(ticks(3.6, 2), [0, 2]); // on a phone
  assert.deepEqual(ticks(0), []);
  for (const longest of [0.02, 1, 7, 95, 3600]) {
    const found = ticks(longest);
    assert.ok(found.length >= 3 && found.length <= 8, `${longest}: ${found}`);
    assert.ok(found.at(-1) <= longest * (1 + 1e-9));
  }
});

test("each step of a run finds the last computed one", () => {
  const rows = [..."CCrrCrC"].map((a) => ({ a }));
  assert.deepEqual(stepsBack(rows), [0, 1, 1, 2, 3, 1, 2]);
});

test("a logarithmic axis has as many ticks as there is room for", () => {
  const range = [Math.log10(0.03), Math.log10(0.6)];
  assert.deepEqual(logTicks(range, 9), [0.05, 0.1, 0.2, 0.5]);
  assert.deepEqual(logTicks(range, 3), [0.03, 0.1, 0.3]);
  assert.deepEqual(logTicks(range, 1), [0.1]);
});

test("a step tells which blocks ran", () => {
  assert.equal(lettersOf({ a: "p", blocks: "C2r3C" }), "CCrrrC");
  assert.equal(lettersOf({ a: "r" }, 4), "rrrr");
  assert.equal(lettersOf({ a: "C", d: [1, 2, 3] }, 4), "CCC");
  assert.deepEqual(stretches("CCrrrCr"), [[2, 5], [6, 7]]);
  assert.deepEqual(stretches("CCC"), []);
});

test("a run's picture at a step is the last one up to there", () => {
  const pictures = ["a", undefined, "c"];
  assert.equal(pictureAt(pictures, 1), "a");
  assert.equal(pictureAt(pictures, 9), "c");
  assert.equal(pictureAt([], 3), null);
});

test("the stage's keys", () => {
  assert.deepEqual(actionOf("g"), { name: "generate" });
  assert.deepEqual(actionOf("F"), { name: "fullscreen" });
  assert.deepEqual(actionOf(" "), { name: "play" });
  assert.deepEqual(actionOf("2"), { name: "view", view: "wipe" });
  for (const key of ["x", "5", "Enter", "0"]) assert.equal(actionOf(key), null);
});

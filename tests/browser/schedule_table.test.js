import assert from "node:assert/strict";
import test from "node:test";

import {
  createScheduleTable, expand,
} from "../../bwcache/ui/static/steps/schedule_table.js";

const FIRST = { k: "schedule_table", parts: 4, whole: 5, starts_above: 0.1, trigger: 2 };
const CHOICE = { k: "schedules", interval: "0.1", interval_steps: 3, gate: "once" };

function filled() {
  const table = createScheduleTable(FIRST);
  table.add({ k: "thresholds", values: [0.1, 0.2] });
  table.add({ k: "thresholds", values: [0.3] });
  table.add({
    ...CHOICE, below: [0, 1], letters: ["C5", "C3r2"], seconds: [5, 4], exact: [true, true],
  });
  assert.equal(table.isComplete(), false);
  table.add({ ...CHOICE, below: [3], letters: ["Cr3C"], seconds: [3], exact: [false] });
  return table;
}

test("letters are spelt out", () => {
  assert.equal(expand("C13rC2r"), `${"C".repeat(13)}rCCr`);
  assert.equal(expand("CrCr"), "CrCr");
  assert.equal(expand(""), "");
});

test("a schedule holds above the thresholds below it, and not at them", () => {
  const table = filled();
  const letters = (threshold) => {
    const found = table.lookup({ threshold, interval: "0.1", gate: "once" });
    return found.letters.join("");
  };
  assert.equal(letters(0), "CCCCC");
  assert.equal(letters(0.1), "CCCCC");
  assert.equal(letters(0.1000001), "CCCrr");
  assert.equal(letters(0.2), "CCCrr");
  assert.equal(letters(0.3), "CCCrr"); // nothing changes above 0.2
  assert.equal(letters(0.31), "CrrrC");
  assert.equal(letters(99), "CrrrC");
});

test("what a schedule costs and whether it is certain come with it", () => {
  const found = filled().lookup({ threshold: 1, interval: "0.1", gate: "once" });
  assert.equal(found.reused, 3);
  assert.equal(found.seconds, 3);
  assert.equal(found.exact, false);
});

test("the table says what it has", () => {
  const table = filled();
  assert.ok(table.isComplete());
  assert.ok(table.has({ interval: "0.1", gate: "once" }));
  assert.ok(!table.has({ interval: "0.1", gate: "recheck" }));
  assert.ok(!table.has({ interval: "many", gate: "once" }));
  assert.deepEqual(table.intervals(), [["0.1", 3]]);
  assert.deepEqual([table.whole, table.startsAbove, table.trigger], [5, 0.1, 2]);
});

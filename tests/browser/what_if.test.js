import assert from "node:assert/strict";
import test from "node:test";

import { computesTooFew, thresholdStops } from "../../bwcache/ui/static/steps/what_if.js";

for (const measured of [[0.028, 0.247], [0.0009, 0.004], [0.31, 2.5], [0.1], [1e-7, 1.0]]) {
  for (const own of [0, 0.045, 0.1234567, 3.0]) {
    test(`the slider's places span ${measured} and have ${own} among them`, () => {
      const stops = thresholdStops(measured, own);
      assert.deepEqual(stops, [...new Set(stops)].sort((a, b) => a - b));
      assert.ok(stops.includes(own));
      assert.ok(stops.length > 2 && stops.length < 1500);
      assert.ok(stops[0] < Math.min(...measured));
      assert.ok(stops.at(-1) > Math.max(...measured));
    });
  }
}

test("too few computed steps are those below the model's limit", () => {
  const schedule = (letters) => ({ letters: [...letters], reused: letters.split("r").length - 1 });
  assert.ok(computesTooFew(schedule("CCrrrr"), [1, 2]));
  assert.ok(!computesTooFew(schedule("CCCrrr"), [1, 2]));
  assert.ok(!computesTooFew(schedule("CCrrrr"), null)); // nobody has measured it
  assert.ok(!computesTooFew(schedule("CC"), [3, 2])); // nothing is reused
});

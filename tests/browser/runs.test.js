import assert from "node:assert/strict";
import test from "node:test";

import { settingOf } from "../../bwcache/ui/static/lib/runs.js";

const panel = {
  texts: { run_setting: "δ {threshold}" },
  numbers: { significant: (value) => String(value) },
};

test("a run is told by its threshold, or by a method that has none", () => {
  assert.equal(settingOf(0.05, "BWCache", panel), "δ 0.05");
  assert.equal(settingOf(0, "BWCache", panel), "δ 0");
  assert.equal(settingOf(undefined, "BWCache+", panel), "BWCache+");
  assert.equal(settingOf(null, "TeaCache", panel), "TeaCache");
});

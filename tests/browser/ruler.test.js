import assert from "node:assert/strict";
import test from "node:test";

import { inOrder } from "../../bwcache/ui/static/panel/ruler.js";

const marks = [
  ["other_seed", 15, 20], ["half_steps", 30, 70], ["twice_steps", 40, 90], ["identical", null, 99],
];
const names = (psnr) => inOrder({ marks, psnr, vmaf: null }).map(({ name }) => name);

test("the video lies between the marks that are farther and nearer", () => {
  assert.deepEqual(names(33), ["other_seed", "half_steps", "this", "twice_steps", "identical"]);
  assert.deepEqual(names(10), ["this", "other_seed", "half_steps", "twice_steps", "identical"]);
});

test("a video that is identical stands at the end", () => {
  assert.deepEqual(names(null).slice(-2), ["identical", "this"]);
});

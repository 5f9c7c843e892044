import assert from "node:assert/strict";
import test from "node:test";

import { looksOf } from "../../bwcache/ui/static/panel/method_looks.js";

const some = (count, name, ours = false) => (
  Array.from({ length: count }, (_, at) => ({ n: `${name}${at}`, ours }))
);
const different = (looks) => (
  new Set(looks.map(({ kind, symbol, hue }) => `${kind} ${symbol} ${hue}`)).size
);

test("no two lines look alike, however the kinds are mixed", () => {
  const families = [
    ...some(3, "a/"), ...some(3, "uncached/"), ...some(4, "bwcache_plus/", true), ...some(20, "b/"),
  ];
  assert.equal(different(looksOf(families)), families.length);
  assert.equal(different(looksOf([...families].reverse())), families.length);
});

test("ours and uncached runs have one hue each, and uncached ones open symbols", () => {
  const [own, uncached, other] = looksOf([
    { n: "bwcache_plus/budget", ours: true }, { n: "uncached/fewer", ours: false },
    { n: "fora", ours: false },
  ]);
  assert.deepEqual([own.kind, own.hue], ["ours", null]);
  assert.deepEqual([uncached.kind, uncached.hue], ["uncached", null]);
  assert.ok(uncached.symbol.endsWith("-open"));
  assert.match(other.hue, /^#[0-9a-f]{6}$/);
});

import assert from "node:assert/strict";
import test from "node:test";

import { logScale, viridis } from "../../bwcache/ui/static/lib/colour_scale.js";
import { curveFacts } from "../../bwcache/ui/static/panel/tour.js";
import { scaleOf, worstFrame } from "../../bwcache/ui/static/videos/frames.js";

test("viridis goes from violet to yellow and no further", () => {
  assert.equal(viridis(0), "rgb(68 1 84)");
  assert.equal(viridis(1), "rgb(253 231 37)");
  assert.equal(viridis(-3), viridis(0));
  assert.equal(viridis(3), viridis(1));
});

test("the heat map's scale is logarithmic", () => {
  const share = logScale(0.01, 1);
  assert.equal(share(0.01), 0);
  assert.ok(Math.abs(share(0.1) - 0.5) < 1e-9);
  assert.equal(share(0.001), 0);
  assert.equal(logScale(0.2, 0.2)(0.2), 0.5);
});

test("a curve's scale has room around it, none above a bound", () => {
  const scale = scaleOf([30, null, 40], 20);
  assert.deepEqual([scale.low, scale.high, scale.digits], [30, 40, 1]);
  assert.deepEqual(scale.range, [28.5, 41.5]);
  assert.ok(scale.pixel(40) < scale.pixel(30));
  const bounded = scaleOf([0.98, 1], 20, 1);
  assert.equal(bounded.range[1], 1);
  assert.equal(bounded.pixel(1), 20);
  assert.equal(scaleOf([0.9991, 1], 0, 1).digits, 4);
});

test("the worst frame is the one with the least PSNR; identical ones are not bad", () => {
  assert.equal(worstFrame([null, 40, 30, 35]), 2);
  assert.equal(worstFrame([null, null]), 0);
});

test("the tour tells a bent curve from a flat one", () => {
  const numbers = { significant: String };
  const rows = (...values) => values.map((v, i) => ({ v, i }));
  const bent = curveFacts({ rows: rows(null, 0.4, 0.1, 0.3), numbers });
  assert.deepEqual([bent.text, bent.low, bent.low_step], ["curve", "0.1", 3]);
  const flat = curveFacts({ rows: rows(null, 0.4, 0.2, 0.1), numbers });
  assert.deepEqual([flat.text, flat.high_step], ["flat", 2]);
  assert.equal(curveFacts({ rows: rows(null, 0), numbers }), null);
});

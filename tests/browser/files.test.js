import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { loadPlotly } from "../../bwcache/ui/static/lib/plotly.js";
import {
  checked, fetchRun, withAddresses,
} from "../../bwcache/ui/static/panel/recorded_run.js";

globalThis.location = { search: "" }; // what the module reads when it is loaded
globalThis.addEventListener = () => {};
const { addressOf } = await import("../../bwcache/ui/static/page/address.js");

const TEXTS = {
  run_unreachable: "unreachable",
  run_refused: "status {status}",
  run_no_json: "no JSON",
  run_foreign: "{format} {version}",
  run_incomplete: "incomplete",
};
const RUN = {
  format: "bwcache-recorded-run",
  version: 1,
  files: { cached: "a b.mp4" },
  rows: [
    { at: 0, row: { k: "begin" } },
    { at: 1, row: { k: "video", run: "cached" } },
    { at: 2, row: { k: "done", verdict: "Saved" } },
  ],
};
const answer = (ok, data, status = 200) => async () => ({
  ok,
  status,
  json: async () => JSON.parse(data),
});

afterEach(() => {
  delete globalThis.fetch;
  delete globalThis.document;
  delete globalThis.window;
});

test("a recorded run is fetched", async () => {
  globalThis.fetch = answer(true, JSON.stringify(RUN));
  assert.deepEqual(await fetchRun("run.json", TEXTS), RUN);
});

for (const [name, get, said] of [
  ["an absent server", async () => { throw new Error("refused"); }, "unreachable"],
  ["a refusal", answer(false, "", 403), "status 403"],
  ["no JSON", answer(true, "{"), "no JSON"],
  ["another format", answer(true, '{"format": "x", "version": 3}'), "x 3"],
  ["nothing at all", answer(true, "null"), "undefined undefined"],
]) {
  test(`${name} is said`, async () => {
    globalThis.fetch = get;
    await assert.rejects(fetchRun("run.json", TEXTS), { message: said });
  });
}

test("a run without an end is not a whole one", () => {
  for (const rows of [[], RUN.rows.slice(0, 2), RUN.rows.slice(1), "rows", undefined]) {
    assert.throws(() => checked({ ...RUN, rows }, TEXTS), { message: "incomplete" });
  }
  assert.throws(() => checked({ ...RUN, files: undefined }, TEXTS), { message: "incomplete" });
});

test("files get their addresses and the verdict its language", () => {
  const rows = withAddresses(RUN, "/runs/one/", { verdict: "Gespart" });
  assert.equal(rows[1].row.url, "/runs/one/a%20b.mp4");
  assert.deepEqual(rows[2].row.files, { cached: "/runs/one/a%20b.mp4" });
  assert.equal(rows[2].row.verdict, "Gespart");
  assert.deepEqual(rows.map((row) => row.at), [0, 1, 2]);
});

test("a link holds the settings, whatever signs they are made of", () => {
  const place = { origin: "http://localhost", pathname: "/" };
  const link = addressOf(place, ["prompt", "seed", "image"], ["a & b = c + ü #?", 7, null]);
  const { searchParams } = new URL(link);
  assert.equal(searchParams.get("prompt"), "a & b = c + ü #?");
  assert.equal(searchParams.get("seed"), "7");
  assert.equal(searchParams.get("image"), "");
});

test("Plotly is fetched once for all charts, and again after a failure", async () => {
  const tags = [];
  globalThis.window = {};
  globalThis.document = {
    createElement: () => ({}),
    head: { append: (tag) => tags.push(tag) },
  };
  const failing = loadPlotly("plotly.js");
  tags[0].onerror();
  await assert.rejects(failing);
  const loading = [loadPlotly("plotly.js"), loadPlotly("plotly.js")];
  assert.equal(tags.length, 2);
  window.Plotly = { react() {} };
  tags[1].onload();
  assert.deepEqual(await Promise.all(loading), [window.Plotly, window.Plotly]);
  await loadPlotly("plotly.js");
  assert.equal(tags.length, 2);
});

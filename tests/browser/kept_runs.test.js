import assert from "node:assert/strict";
import test from "node:test";

const { createKeptRuns } = await import("../../bwcache/ui/static/page/kept_runs.js");

function storageOf(room) {
  const kept = new Map();
  return {
    getItem: (key) => kept.get(key) ?? null,
    setItem(key, text) {
      const full = Object.assign(new Error("full"), { name: "QuotaExceededError" });
      if (text.length > room) throw full;
      kept.set(key, text);
    },
    kept,
  };
}

const run = (id) => ({ id, rows: [{ k: "begin", text: "x".repeat(100) }] });

test("runs come back in their order", () => {
  const storage = storageOf(1e4);
  createKeptRuns(storage).save([run("b"), run("a")]);
  assert.deepEqual(createKeptRuns(storage).load(), [run("b"), run("a")]);
});

test("where they do not fit the oldest give way", () => {
  const storage = storageOf(300);
  createKeptRuns(storage).save([run("c"), run("b"), run("a")]);
  assert.deepEqual(createKeptRuns(storage).load().map(({ id }) => id), ["c", "b"]);
});

test("what cannot be read or written is no run and no error", () => {
  const storage = storageOf(1e4);
  for (const text of ["{", "5", "{}", "null", '[{"id":1}]', '[{"rows":[1]}]']) {
    storage.kept.set("bwcache-runs", text);
    assert.deepEqual(createKeptRuns(storage).load(), []);
  }
  const blocked = () => { throw Object.assign(new Error("no"), { name: "SecurityError" }); };
  const store = createKeptRuns({ getItem: blocked, setItem: blocked });
  store.save([run("a")]);
  assert.deepEqual(store.load(), []);
});

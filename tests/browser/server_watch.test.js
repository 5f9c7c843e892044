import assert from "node:assert/strict";
import test from "node:test";

const { look } = await import("../../bwcache/ui/static/page/server_watch.js");

const answering = (ok, body) => async () => ({ ok, json: async () => body });

test("the same server, another one, and none", async () => {
  assert.equal(await look("/", 7, answering(true, { app_id: "7" })), "same");
  assert.equal(await look("/", "7", answering(true, { app_id: 7 })), "same");
  assert.equal(await look("/", 7, answering(true, { app_id: 8 })), "other");
  assert.equal(await look("/", 7, answering(false, {})), "gone");
  assert.equal(await look("/", 7, async () => { throw new Error("refused"); }), "gone");
});

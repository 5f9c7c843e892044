// The address, what differs from it, and phrases in another language.

import assert from "node:assert/strict";
import { test } from "node:test";

globalThis.location = { search: "", pathname: "/", hash: "" };
globalThis.addEventListener = () => {};

const { bareQuery, queryOf } = await import("../../bwcache/ui/static/page/address.js");
const { differences, isSame, settingsOf } = await import(
  "../../bwcache/ui/static/page/shown_settings.js"
);
const { translated } = await import("../../bwcache/ui/static/lib/phrases.js");

test("the address holds the form and the run, and leaves what is others' alone", () => {
  const form = { names: ["prompt", "seed"], all: ["prompt", "seed", "gate"], values: ["a b", 3] };
  const query = queryOf("?kiosk=1&gate=once&run=old&seed=9", form, { run: "new" });
  assert.equal(String(query), "kiosk=1&prompt=a+b&seed=3&run=new");
  assert.equal(String(bareQuery(query, form.all)), "kiosk=1");
});

test("settings are compared by what they mean", () => {
  const run = settingsOf({ settings: { threshold: 0.1, interval: "2", seed: 0 }, steps: 30 });
  assert.deepEqual(run, { threshold: 0.1, reuse_interval: "2", seed: 0, steps: 30 });
  assert.deepEqual(differences({ threshold: "0.10", reuse_interval: 3, steps: 30 }, run), [
    "reuse_interval",
  ]);
  assert.ok(isSame(3, "3"));
  assert.ok(!isSame("", 0));
});

test("a phrase is said in the other language, numbers and all", () => {
  const phrases = { "reuse {i} of {n}": "{i}. von {n}", "a {b}": "ein {b}" };
  const texts = { decimal_sign: ",", phrases };
  assert.equal(translated("reuse 1 of 2.5", texts), "1. von 2,5");
  assert.equal(translated("a (x)", texts), "ein (x)");
  assert.equal(translated("unknown", texts), "unknown");
  assert.equal(translated("unknown", {}), "unknown");
});

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { fill, languageAmong, liveTexts, localise } from "../../bwcache/ui/static/lib/texts.js";

const CATALOGUES = { en: { language: "en", word: "yes" }, de: { language: "de", word: "ja" } };
let observe;

beforeEach(() => {
  globalThis.document = { documentElement: { lang: "en" }, cookie: "" };
  globalThis.addEventListener = () => {};
  globalThis.MutationObserver = class {
    constructor(callback) {
      observe = callback;
    }

    observe() {}
  };
});

afterEach(() => {
  for (const name of ["document", "addEventListener", "MutationObserver"]) delete globalThis[name];
});

test("values take the places that name them, and nothing else", () => {
  assert.equal(fill("{a} of {b}", { a: 1, b: 0 }), "1 of 0");
  assert.equal(fill("{a} {unknown}", { a: "{b}", b: 2 }), "{b} {unknown}");
});

test("the language is Gradio's where there are texts in it, else English", () => {
  const known = ["en", "de"];
  for (const [lang, expected] of [["de", "de"], ["de-AT", "de"], ["fr", "en"], ["", "en"]]) {
    document.documentElement.lang = lang;
    assert.equal(languageAmong(known), expected);
  }
});

test("another language chosen in Gradio's settings is followed, and the server is told", () => {
  let calls = 0;
  const texts = liveTexts(CATALOGUES, () => { calls += 1; });
  assert.equal(texts.word, "yes");
  assert.equal(document.cookie, "");
  document.documentElement.lang = "de";
  observe();
  assert.equal(texts.word, "ja");
  assert.match(document.cookie, /^bwcache_language=de;/);
  observe();
  document.documentElement.lang = "de-AT"; // the same texts
  observe();
  assert.equal(calls, 1);
});

test("markup gets the texts that it names", () => {
  const nodes = {
    "[data-text]": { dataset: { text: "word" } },
    "[data-label]": {
      dataset: { label: "word" },
      setAttribute(name, value) {
        this[name] = value;
      },
    },
    "[data-title]": { dataset: { title: "word" } },
  };
  const root = { querySelectorAll: (selector) => [nodes[selector]] };
  localise(root, CATALOGUES.de);
  assert.equal(root.lang, "de");
  assert.equal(nodes["[data-text]"].textContent, "ja");
  assert.equal(nodes["[data-label]"]["aria-label"], "ja");
  assert.equal(nodes["[data-title]"].title, "ja");
});

import assert from "node:assert/strict";
import test from "node:test";

import { createNumbers } from "../../bwcache/ui/static/lib/numbers.js";

const english = createNumbers({ locale: "en-GB", identical: "identical" });
const german = createNumbers({ locale: "de-DE", identical: "identisch" });

test("digits after the sign are as many as asked for", () => {
  assert.equal(english.fixed(1234.5, 2), "1234.50");
  assert.equal(german.fixed(1234.5, 2), "1234,50");
});

test("significant digits leave no zeros behind", () => {
  assert.equal(english.significant(0.04499), "0.045");
  assert.equal(german.significant(0.0281234), "0,0281");
  assert.equal(english.significant(0.00000123), "0.00000123");
  assert.equal(english.significant(12, 3), "12");
});

test("what is missing is a dash", () => {
  assert.equal(english.significant(null), "–");
  assert.equal(english.fixed(undefined, 1), "–");
});

test("short times have more digits than long ones", () => {
  assert.equal(english.seconds(0.345), "0.35");
  assert.equal(english.seconds(2.345), "2.3");
  assert.equal(german.seconds(23.45), "23,5");
});

test("identical videos have a word for a PSNR", () => {
  assert.equal(english.decibels(31.04), "31.0 dB");
  assert.equal(german.decibels(null), "identisch");
});

test("Plotly gets the signs of the language", () => {
  assert.equal(english.separators(), ".,");
  assert.equal(german.separators(), ",.");
});

test("a change of language is followed", () => {
  const texts = { locale: "en-GB" };
  const numbers = createNumbers(texts);
  assert.equal(numbers.fixed(0.5, 1), "0.5");
  texts.locale = "de-DE";
  assert.equal(numbers.fixed(0.5, 1), "0,5");
});

// A refusal at the field that it is about, one at a time, until the form changes.

import { make } from "../lib/elements.js";
import { fill } from "../lib/texts.js";
import { onFormChange } from "./address.js";

const LINE = "bw-refusal";

function clear() {
  document.querySelectorAll(`.${LINE}`).forEach((line) => line.remove());
  document.querySelectorAll("#bw-form [aria-invalid]").forEach((node) => {
    node.removeAttribute("aria-invalid");
    node.removeAttribute("aria-describedby");
  });
}

// A field in a closed section is not in the page before that is open.
async function fieldOf(name) {
  const find = () => document.querySelector(`#bw-${name}, #bw-find-${name}`);
  const isSeen = () => find()?.getClientRects().length > 0;
  if (!isSeen()) {
    document.querySelector("#bw-advanced .label-wrap:not(.open)")?.click();
    await new Promise((resolve) => { setTimeout(resolve, 300); });
  }
  return isSeen() ? find() : document.getElementById("bw-buttons");
}

function say(place, text) {
  clear();
  const line = make("p", LINE, text);
  line.setAttribute("role", "alert");
  line.id = LINE;
  place.after(line);
  return line;
}

// Gradio moves a number typed beside a slider to its end: that it does is said.
function watchSliders(texts, numbers) {
  document.addEventListener("blur", ({ target }) => { // captured: before Gradio hears of it
    const place = target.matches?.("#bw-form input[type=number]") && target.closest(".bw-number");
    const [given, low, high] = ["value", "min", "max"].map((name) => parseFloat(target[name]));
    if (!place || !(given < low || given > high)) return;
    const [shown, from, to] = [given, low, high].map((number) => numbers.significant(number));
    const text = fill(texts.beyond, { given: shown, low: from, high: to });
    setTimeout(() => say(place, text), 300); // when the form has changed, which clears the line
  }, { capture: true });
}

// Says a refusal at its field, and puts the cursor there.
export async function showRefusal({ field, text }) {
  const place = await fieldOf(field);
  const line = say(place, text);
  const input = place.querySelector("input, textarea");
  input?.setAttribute("aria-invalid", "true");
  input?.setAttribute("aria-describedby", LINE);
  input?.focus();
  line.scrollIntoView({ block: "nearest" });
}

export function createRefusal({ texts, numbers }) {
  onFormChange(clear);
  watchSliders(texts, numbers);
  return {
    message(row) {
      clear();
      if (row.k === "refused") showRefusal(row);
    },
  };
}

// Gradio moves a number typed beside a slider to its end: that it does is said.

import { fill } from "../lib/texts.js";
import { say } from "./refusal.js";

export function createSliderWatch({ texts, numbers }) {
  document.addEventListener("blur", ({ target }) => { // captured: before Gradio hears of it
    const place = target.matches?.("#bw-form input[type=number]") && target.closest(".bw-number");
    const [given, low, high] = ["value", "min", "max"].map((name) => parseFloat(target[name]));
    if (!place || !(given < low || given > high)) return;
    const [shown, from, to] = [given, low, high].map((number) => numbers.significant(number));
    const text = fill(texts.beyond, { given: shown, low: from, high: to });
    setTimeout(() => say(place, text), 300); // when the form has changed, which clears the line
  }, { capture: true });
  return {};
}

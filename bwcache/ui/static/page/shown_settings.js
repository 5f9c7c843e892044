// What the form asks for and what the shown run was made with: says where they differ, and offers
// to run the one or to take over the other.

import { make } from "../lib/elements.js";
import { fill } from "../lib/texts.js";
import {
  addressedRun, formIsTouched, formValues, onFormChange, showsRun,
} from "./address.js";

// Settings of a run's first row, by the names that the form and addresses have for them.
const NAMES = {
  prompt: "prompt", model: "model", method: "method", seed: "seed", threshold: "threshold",
  interval: "reuse_interval", tail_fraction: "tail_fraction", gate: "gate", reuse: "reuse",
  control: "control",
};
const LONGEST = 40; // characters of a value that is shown

// A run's settings by the form's names.
export function settingsOf({ settings, steps }) {
  const known = Object.entries(NAMES).filter(([theirs]) => settings?.[theirs] !== undefined);
  return { ...Object.fromEntries(known.map(([theirs, ours]) => [ours, settings[theirs]])), steps };
}

// Whether two values of a setting are the same: 3 and "3" are, and so are 0.10 and 0.1.
export function isSame(one, other) {
  if (String(one) === String(other)) return true;
  const [a, b] = [one, other].map((value) => (value === "" ? NaN : Number(value)));
  return Number.isFinite(a) && a === b;
}

// The names of the settings that differ, as far as both are known.
export function differences(form, run) {
  return Object.keys(run).filter((name) => name in form && !isSame(form[name], run[name]));
}

export function createShownSettings({
  root, texts, numbers, props, trigger, feed,
}) {
  const box = root.querySelector(".bw-differs");
  const words = make("p");
  const [generate, use] = ["bw-differs-run", "bw-differs-use"].map((name) => {
    const button = make("button", name);
    button.type = "button";
    return button;
  });
  box.append(words, generate, use);
  let state = null;

  function inWords(name, value) {
    if (name === "control") return texts[`control_kind_${value}`] ?? value;
    if (typeof value === "number") return numbers.significant(value, 10);
    const text = String(value);
    return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
  }

  function show() {
    const form = formValues();
    const run = state?.settings ? settingsOf(state) : null;
    const found = form && run ? differences(form, run) : [];
    const isLive = root.dataset.phase === "running" && !state?.recorded;
    const isOffered = state?.recorded && form && found.length;
    box.hidden = isLive || !found.length || !(formIsTouched() || isOffered);
    if (box.hidden) return;
    const isAsked = formIsTouched();
    words.hidden = generate.hidden = !isAsked;
    const items = found.map((name) => fill(texts.differs_item, {
      name: texts[`name_${name}`], form: inWords(name, form[name]), run: inWords(name, run[name]),
    }));
    words.textContent = `${texts.differs_form} ${items.join("; ")}.`;
    generate.textContent = texts.differs_run;
    use.textContent = texts.use_settings;
  }

  generate.addEventListener("click", () => document.querySelector("#bw-generate")?.click());
  use.addEventListener("click", () => trigger("select", settingsOf(state)));
  onFormChange(show);
  new MutationObserver(show).observe(root, { attributeFilter: ["data-phase"] });
  const hasRows = Array.isArray(props.value) && props.value.length > 0;
  if (addressedRun() && !hasRows) { // they come as soon as the server has been asked
    const looking = { k: "waiting", text: texts.looking, id: addressedRun() };
    queueMicrotask(() => feed([looking]));
  }

  return {
    begin(next) {
      state = next;
      if (!next.recorded) showsRun({ run: next.id });
      show();
    },
    message(row) {
      if (row.k === "waiting" && row.id) showsRun({ run: row.id });
    },
    done: show,
    relabel: show,
  };
}

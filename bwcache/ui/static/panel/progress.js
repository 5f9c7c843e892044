// How far the runs are and how long they will take, estimated from their own steps: a run that has
// not begun is taken to be as slow as the uncached one. Recorded runs have buttons of their own.

import { isReused } from "../lib/runs.js";
import { fill } from "../lib/texts.js";

const IN_MINUTES = 90; // seconds: from here on it is said in minutes

// `{value, left}`: the share that is done and the seconds that are left; null while nobody knows.
export function foresee(state) {
  const runs = Object.values(state.runs);
  const own = runs.filter((run) => !run.remembered);
  const known = runs.find((run) => run.rows.length);
  if (!known || !own.some((run) => run.rows.length)) return null;
  const perStep = (run) => (run.rows.length ? run.s / run.rows.length : perStep(known));
  const isWaiting = (run) => run === state.runs.control && !run.started;
  const steps = (run) => (isWaiting(run)
    ? state.runs.cached.rows.filter((row) => !isReused(row)).length : run.steps);
  const missing = (run) => Math.max(steps(run) - run.rows.length, 0);
  const done = own.reduce((sum, run) => sum + run.s, 0);
  const left = own.reduce((sum, run) => sum + missing(run) * perStep(run), 0);
  return left > 0 ? { value: done / (done + left), left } : null;
}

export function createProgress({ root, texts, props }) {
  const find = (name) => root.querySelector(name);
  const [box, bar] = [".bw-progress", ".bw-progress progress"].map(find);
  const [text, spoken] = [".bw-progress-left", ".bw-spoken"].map(find);
  let state = null;
  let spokenRun = "";

  const isWaiting = () => Array.isArray(props.value) && props.value[0]?.k === "waiting";

  function inWords(left) {
    if (left < 1) return texts.progress_soon;
    if (left >= IN_MINUTES) return fill(texts.progress_minutes, { m: Math.round(left / 60) });
    return fill(texts.progress_left, { s: Math.ceil(left) });
  }

  function show() {
    box.hidden = root.dataset.phase !== "running" || Boolean(state?.recorded && !isWaiting());
    if (box.hidden) return;
    const found = state && !isWaiting() ? foresee(state) : null;
    if (found) bar.value = found.value;
    else bar.removeAttribute("value");
    if (found) text.textContent = inWords(found.left);
    else text.textContent = isAlmostDone() ? texts.progress_soon : texts.progress_unknown;
  }

  const isAlmostDone = () => state && !isWaiting()
    && Object.values(state.runs).every((run) => run.started);

  // Spoken once at the start of each run, or of the race, never at a step.
  function say(name) {
    const run = state?.race && name && name !== "control" ? "race" : name;
    if (spokenRun === run) return;
    spokenRun = run;
    spoken.textContent = run && !state.recorded ? texts[`phase_${run}`] : "";
  }

  new MutationObserver(show).observe(root, { attributeFilter: ["data-phase"] });
  return {
    begin(next) {
      state = next;
      say("");
      show();
    },
    row(row) {
      if (row.k === "start" && !row.remembered) say(row.run);
      if (row.k === "step") show();
    },
    done: show,
  };
}

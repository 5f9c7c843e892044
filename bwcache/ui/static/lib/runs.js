// What all parts know of a run's rows.

import { fill } from "./texts.js";

export const COMPARED = ["baseline", "cached"];

export const isReused = (row) => row.a === "r";

export const isComplete = (run) => run.started && run.rows.length === run.steps;

// Several may be running at once: in a race they take turns.
export const isRunning = (run) => run.started && !isComplete(run);

// Whether a run is being made now, not shown once more at its measured pace.
export const isGoing = (run) => isRunning(run) && !run.remembered;

// What a run was set to: its threshold or, of a method that has none, the method's name.
export function settingOf(threshold, method, { texts, numbers }) {
  if (!Number.isFinite(threshold)) return method;
  return fill(texts.run_setting, { threshold: numbers.significant(threshold) });
}

// What all parts know of a run's rows.

export const COMPARED = ["baseline", "cached"];

export const isReused = (row) => row.a === "r";

export const isComplete = (run) => run.started && run.rows.length === run.steps;

// Whether a run is being made: in a race several are.
export const isGoing = (run) => run.started && !run.remembered && !isComplete(run);

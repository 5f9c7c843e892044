// What all parts know of a run's rows.

export const COMPARED = ["baseline", "cached"];

export const isReused = (row) => row.a === "r";

export const isComplete = (run) => run.started && run.rows.length === run.steps;

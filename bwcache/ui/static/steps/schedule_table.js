// The table of schedules that the server sends once an uncached run is known: what each step would
// do at any threshold, for some intervals and gates. Nothing is decided here, only looked up.

// "C3r" stands for "CCCr".
export function expand(runLengths) {
  return runLengths.replace(/(\D)(\d+)/g, (_, letter, count) => letter.repeat(Number(count)));
}

const keyOf = (interval, gate) => `${gate} ${interval}`;

// `first`: the row that says how many are to come. `add` takes these.
export function createScheduleTable(first) {
  const thresholds = []; // where a schedule changes, rising
  const schedules = new Map(); // interval and gate → {below, letters, seconds, exact}, rising
  const intervals = new Map(); // as it is spelt → in steps
  let missing = first.parts;

  function add(row) {
    missing -= 1;
    if (row.k === "thresholds") {
      thresholds.push(...row.values);
      return;
    }
    intervals.set(row.interval, row.interval_steps);
    const key = keyOf(row.interval, row.gate);
    const known = schedules.get(key) || [];
    schedules.set(key, known.concat(row.below.map((below, i) => ({
      below,
      letters: expand(row.letters[i]),
      seconds: row.seconds[i],
      exact: row.exact[i],
    }))));
  }

  // What a run with these settings would do. A schedule holds above the thresholds below it.
  function lookup({ threshold, interval, gate }) {
    const below = thresholds.filter((change) => change < threshold).length;
    const found = schedules.get(keyOf(interval, gate)).findLast((one) => one.below <= below);
    const letters = [...found.letters];
    return { ...found, letters, reused: letters.filter((letter) => letter === "r").length };
  }

  return {
    add,
    lookup,
    isComplete: () => missing <= 0,
    has: ({ interval, gate }) => schedules.has(keyOf(interval, gate)),
    intervals: () => [...intervals],
    whole: first.whole, // seconds of the uncached run
    startsAbove: first.starts_above, // at or below it nothing is reused; null: nothing measured
    trigger: first.trigger, // the step after which this run reuses; null: none
  };
}

// How far the runs are and how long they will take, estimated from their own steps: a run that has
// not begun is taken to be as slow as the uncached one. Recorded runs have buttons of their own.

// `{value, left}`: the share that is done and the seconds that are left; null while nobody knows.
function foresee(state) {
  const runs = Object.values(state.runs), own = runs.filter((run) => !run.remembered);
  const known = runs.find((run) => run.rows.length);
  if (!known || !own.some((run) => run.rows.length)) return null;
  const perStep = (run) => (run.rows.length ? run.s / run.rows.length : known.s / known.rows.length);
  const steps = (run) => run === state.runs.control && !run.started
    ? state.runs.cached.rows.filter((row) => row.a === "C").length : run.steps;
  const done = own.reduce((sum, run) => sum + run.s, 0);
  const left = own.reduce((sum, run) => sum + Math.max(steps(run) - run.rows.length, 0) * perStep(run), 0);
  return left > 0 ? { value: done / (done + left), left } : null;
}

function createProgress({ root, T, props }) {
  const at = (name) => root.querySelector(name);
  const [box, bar, text, spoken] = [".bw-progress", ".bw-progress progress", ".bw-progress-left", ".bw-spoken"].map(at);
  let state = null, phase = "";

  const waits = () => Array.isArray(props.value) && props.value[0]?.k === "waiting";

  function words(left) {
    if (left < 1) return T.progress_soon;
    if (left >= 90) return fill(T.progress_minutes, { m: Math.round(left / 60) });
    return fill(T.progress_left, { s: Math.ceil(left) });
  }

  function show() {
    box.hidden = root.dataset.phase !== "running" || Boolean(state?.recorded && !waits());
    if (box.hidden) return;
    const found = state && !waits() ? foresee(state) : null;
    if (found) bar.value = found.value;
    else bar.removeAttribute("value");
    const finished = state?.now && !found && Object.values(state.runs).every((run) => run.started);
    text.textContent = found ? words(found.left) : finished ? T.progress_soon : T.progress_unknown;
  }

  // Spoken once at the start of each run, never at a step.
  function say(run) {
    if (phase === run) return;
    phase = run;
    spoken.textContent = run && !state.recorded ? T[`phase_${run}`] : "";
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

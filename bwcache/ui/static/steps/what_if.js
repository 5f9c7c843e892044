// What another threshold would do, foretold in the browser. First bwcache/cache/methods/policy.py and whatif.py
// once more (tests/ui/test_whatif_js.py holds the two together), then the slider that shows it.
// Asks no server, until its button puts the values into the form.

// --- the policy ----------------------------------------------------------------------------
const FORGIVEN = 1e-9; // ROUNDING of config.py: 0.1 of 30 steps is 3
const tailSteps = (trigger, share) => Math.floor(trigger * share + FORGIVEN);

// "3" counts steps, "0.1" is a share of them.
function intervalSteps(interval, steps) {
  if (/^\d+$/.test(interval)) return Number(interval);
  return Math.max(1, Math.floor(Number(interval) * steps + FORGIVEN));
}

// JSON has no NaN: a measurement that was not finite still has its blocks' distances.
const measuredIn = (row) => row.v ?? (row.d ? NaN : null);

function observe(config, state, step, indicator) {
  if (!Number.isFinite(indicator)) return { ...state, healthy: false };
  if (indicator >= config.threshold) return { ...state, healthy: true };
  return { ...state, healthy: true, trigger: state.trigger ?? step, anchor: step };
}

function chooses(config, state, step) {
  if (!state.healthy || state.trigger === null) return "C";
  if (step >= state.steps - tailSteps(state.trigger, config.tail_fraction)) return "C";
  const interval = intervalSteps(config.interval, state.steps);
  const place = config.gate === "once"
    ? (step - state.trigger - 1) % (interval + 1)
    : step - state.anchor - 1;
  return place < interval ? "r" : "C";
}

// What a run with `config` would do, from a complete uncached run's rows. `exact`: whether the
// letters are certain. Seconds are those of the rows, less the blocks' share where reused.
function predictSchedule(rows, config) {
  let state = { steps: rows.length, trigger: null, anchor: null, healthy: true };
  let indicator = null;
  const letters = rows.map((row, step) => {
    if (indicator !== null) state = observe(config, state, step - 1, indicator);
    const letter = chooses(config, state, step);
    indicator = letter === "C" ? measuredIn(row) : null;
    return letter;
  });
  const sum = (cost) => rows.reduce((total, row, i) => total + cost(row, letters[i]), 0);
  return {
    letters,
    trigger: state.trigger,
    reused: letters.filter((letter) => letter === "r").length,
    seconds: sum((row, letter) => row.n - (letter === "r" ? row.b : 0)),
    whole: sum((row) => row.n),
    exact: config.gate === "once" || state.trigger === null,
  };
}

// The threshold at or below which nothing would be reused; null where nothing was measured.
function reuseStartsAbove(rows, config) {
  const useful = rows.filter((row, i) => Number.isFinite(measuredIn(row))
    && i + 1 < rows.length - tailSteps(i, config.tail_fraction));
  return useful.length ? Math.min(...useful.map((row) => row.v)) : null;
}

// --- the slider ----------------------------------------------------------------------------
const INTERVALS = [1, 2, 3, 4, 6, 8];
const MARGIN = 1.1; // beyond the measured range, at both ends
const PACE_OF_STOPS = 0.012; // the least relative distance of two stops
const ASKED = ["threshold", "interval", "gate"];

// The slider's places: round numbers, close together where the curve is low, and this run's own.
function thresholdStops(measured, own) {
  const low = Math.min(...measured) / MARGIN, high = Math.max(...measured) * MARGIN;
  const digits = Math.max(3, 1 - Math.floor(Math.log10(low)));
  const grid = 10 ** digits, stops = new Set([own]);
  for (let n = Math.floor(low * grid); n <= Math.ceil(high * grid);) {
    stops.add(Number((n / grid).toFixed(digits)));
    n += Math.max(1, Math.round(n * PACE_OF_STOPS));
  }
  return [...stops].sort((a, b) => a - b);
}

function createWhatIf({ root, T, charts }) {
  const find = (name) => root.querySelector(`.bw-whatif${name}`);
  const box = find(""), cells = box.querySelector(".bw-cells");
  const [slider, interval, gate] = ["-slider", "-interval", "-gate"].map(find);
  const [use, back, used] = ["-use", "-back", "-used"].map(find);
  let run = null, stops = [], pending = 0; // run: what was measured, and with which settings

  const chosen = () => ({
    ...run.settings, threshold: stops[slider.value], interval: interval.value, gate: gate.value,
  });

  function offer(state) {
    const { rows } = state.runs.baseline, { settings } = state;
    const measured = rows.map((row) => row.v).filter((v) => v > 0);
    if (!measured.length) return;
    run = { id: state.id, rows, settings };
    stops = thresholdStops(measured, settings.threshold);
    slider.max = stops.length - 1;
    const own = intervalSteps(settings.interval, rows.length);
    const counts = [...new Set([...INTERVALS.filter((n) => n < rows.length), own])];
    interval.replaceChildren(...counts.sort((a, b) => a - b).map((n) => {
      const option = make("option", "", n === own ? fill(T.whatif_this_run, { value: n }) : n);
      option.value = n === own ? settings.interval : n;
      return option;
    }));
    const starts = reuseStartsAbove(rows, settings);
    find("-starts").hidden = starts === null;
    find("-starts").textContent = fill(T.whatif_starts, { value: significant(starts) });
    cells.style.setProperty("--steps", rows.length);
    cells.replaceChildren(...rows.map(() => make("span")));
    box.hidden = false;
    asThisRun();
  }

  function asThisRun() {
    slider.value = stops.indexOf(run.settings.threshold);
    interval.value = run.settings.interval;
    gate.value = run.settings.gate;
    show();
  }

  function show() {
    pending = 0;
    if (!run) return;
    const config = chosen(), found = predictSchedule(run.rows, config);
    const same = ASKED.every((name) => config[name] === run.settings[name]);
    find("-value").textContent = config.threshold;
    slider.setAttribute("aria-valuetext", config.threshold);
    showAnswer(found);
    showPays(found);
    found.letters.forEach((letter, i) => {
      cells.children[i].className = letter === "r" ? "bw-r" : "bw-c";
      cells.children[i].textContent = letter;
    });
    cells.setAttribute("aria-label", `${T.whatif_strip}: ${found.letters.join(" ")}`);
    back.disabled = same;
    used.textContent = "";
    charts.preview(same ? null : { threshold: config.threshold, letters: found.letters });
  }

  function showAnswer(found) {
    const steps = found.letters.length;
    find("-reused").textContent = found.reused
      ? fill(T.whatif_reused, { reused: found.reused, steps }) : T.whatif_nothing;
    find("-seconds").textContent = found.reused ? fill(T.whatif_seconds, {
      seconds: seconds(found.seconds),
      whole: seconds(found.whole),
      speedup: (found.whole / found.seconds).toFixed(2),
    }) : "";
    const kind = found.exact ? T.whatif_exact : T.whatif_estimate;
    find("-kind").textContent = found.reused ? `${kind} ${T.whatif_times}` : kind;
  }

  // The words of bwcache/runs/verdict.py's warning.
  function showPays({ letters, reused }) {
    const steps = letters.length, computed = steps - reused, pays = run.settings.pays_from;
    const poor = pays && reused && computed / steps < pays[0] / pays[1];
    find("-pays").hidden = !poor;
    if (poor) find("-pays").textContent = fill(T.whatif_pays, { computed, steps, least: pays[0], of: pays[1] });
  }

  new ResizeObserver(() => {
    cells.classList.toggle("dense", cells.clientWidth / cells.children.length < 9);
  }).observe(cells);
  const later = () => { pending ||= requestAnimationFrame(show); };
  for (const field of [slider, interval, gate]) field.addEventListener("input", later);
  back.addEventListener("click", () => {
    asThisRun();
    slider.focus();
  });
  use.addEventListener("click", () => {
    const config = chosen();
    trigger("submit", Object.fromEntries(["model", ...ASKED].map((name) => [name, config[name]])));
    used.textContent = T.whatif_used;
  });

  return {
    begin() {
      run = null;
      box.hidden = true;
    },
    draw(state) {
      const { baseline } = state.runs;
      const complete = baseline?.rows.length && baseline.rows.length === baseline.steps;
      if (complete && state.settings && run?.id !== state.id) offer(state);
    },
  };
}

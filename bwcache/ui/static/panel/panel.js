// The panel: takes the rows as they come, keeps the state of both runs, and shows it.

import { localAddress } from "../lib/fetched.js";
import { translated } from "../lib/phrases.js";
import { fill, liveTexts, localise } from "../lib/texts.js";
import { createNumbers } from "../lib/numbers.js";
import { isComplete, isReused } from "../lib/runs.js";
import { serverRoot } from "../lib/server.js";
import { createCharts } from "../steps/charts.js";
import { createWhatIf } from "../steps/what_if.js";
import { createHistory } from "../page/history.js";
import { createRefusal } from "../page/refusal.js";
import { createShownSettings } from "../page/shown_settings.js";
import { createPlayer } from "../videos/player.js";
import { createViews } from "../videos/views.js";
import { createGallery } from "./gallery.js";
import { startKiosk } from "./kiosk.js";
import { createProgress } from "./progress.js";
import { createRace } from "./race.js";
import { createResult } from "./result.js";
import { createRuler } from "./ruler.js";
import { createTour } from "./tour.js";

const PACE = 250; // ms between drawings of the charts: the model may need this very processor
const OUT_OF_SIGHT = 0.6; // of the window's height: a run that begins below it is scrolled to
const PARTS = [
  createWhatIf, createViews, createResult, createRuler, createGallery, createTour, createProgress,
  createShownSettings, createRefusal, createHistory,
];

// `element`, `props`, `watch` and `trigger` are what Gradio hands to a component's script.
export function start({ element, props, watch, trigger }) {
  let state = null;
  let rows = []; // the list that is shown
  let taken = 0; // how many of its rows have been taken
  let pending = false;
  let drawnAt = 0;
  let timer = 0;
  const root = element.querySelector(".bw");
  const texts = liveTexts(props.texts, onLanguageChange);
  localise(root, texts);
  const numbers = createNumbers(texts);
  const base = serverRoot();
  const status = root.querySelector(".bw-status-text");
  const note = root.querySelector(".bw-loading-note");
  const panel = {
    root, texts, numbers, base, props, watch, trigger, runName, feed,
    plotlyUrl: base + props.plotly,
  };
  panel.player = createPlayer(root, texts, runName);
  panel.charts = createCharts(panel);
  const { player, charts } = panel;
  const race = createRace(panel);
  // Each may have begin(state), row(row, state) and done(row, state).
  const parts = PARTS.map((create) => create(panel));
  const notify = (event, ...values) => parts.forEach((part) => part[event]?.(...values));

  // What a run is called; the cached one by its method.
  function runName(run) {
    if (run !== "cached" || !state) return texts[run];
    return texts[`method_${state.settings?.reuse}`] || state.method;
  }

  function begin(row) {
    const { steps } = row;
    const emptyRun = () => ({ rows: [], s: 0, steps, started: false, remembered: false });
    const runs = Object.fromEntries(row.runs.map((name) => [name, emptyRun()]));
    state = { ...row, runs, now: null, speed: null };
    root.dataset.phase = "running";
    player.reset(row.runs, row);
    charts.reset();
    race.reset();
    note.hidden = true;
    status.textContent = texts.preparing;
    notify("begin", state);
    const { top } = root.getBoundingClientRect();
    if (top > innerHeight * OUT_OF_SIGHT && !row.recorded) {
      root.scrollIntoView({ behavior: "smooth", block: "start" });
    }
  }

  const onRow = {
    begin,
    // After a "retry" what the runs have told so far is void.
    loading(row) {
      state.now = null;
      if (row.stage === "retry") begin({ ...state, runs: Object.keys(state.runs) });
      const stage = row.stage === "download" ? "load" : row.stage; // of unknown size
      status.textContent = row.total
        ? fill(texts.stage_download, gigabytes(row)) : texts[`stage_${stage}`];
      if (row.note) Object.assign(note, { textContent: translated(row.note, texts), hidden: false });
    },
    start(row) {
      state.now = row.run; // the latest to begin; in a race others run as well
      const { steps, remembered } = row;
      Object.assign(state.runs[row.run], { started: true, steps, remembered });
      if (remembered) player.stage(row.run).classList.add("remembered");
    },
    step(row) {
      const run = state.runs[row.run];
      run.rows.push(row);
      run.s = row.s;
      if (row.p) player.preview(row.run, row.p);
    },
    speed: (row) => { state.speed = row; },
    video: (row) => player.load(row.run, localAddress(base + row.url)),
    done(row) {
      const reused = row.steps_reused + (row.steps_partial ?? 0);
      root.dataset.phase = reused ? "done" : "nothing";
      race.draw(state);
      if (reused && !state.speed?.busy) race.showSaved(row);
      player.begin();
      notify("done", row, state);
    },
    waiting: (row) => halt("running", row.text),
    stopped: (row) => halt("stopped", row.text),
    error: (row) => halt("error", row.text),
  };

  function gigabytes({ done, total }) {
    return { done: numbers.significant(done, 4), total: numbers.significant(total, 4) };
  }

  function halt(phase, text) {
    if (state) state.now = null;
    root.dataset.phase = phase;
    status.textContent = text;
  }

  const stepOf = (run) => Math.min(run.rows.length + 1, run.steps);

  function showStatus() {
    if (root.dataset.phase !== "running" || !state.now) return;
    const { baseline, cached } = state.runs;
    if (Object.values(state.runs).every(isComplete)) {
      status.textContent = texts.finishing;
      return;
    }
    const reused = cached.rows.filter(isReused).length;
    const run = state.runs[state.now];
    status.textContent = state.race && state.now !== "control"
      ? fill(texts.running_race, {
        i: stepOf(baseline), n: baseline.steps, j: stepOf(cached), m: cached.steps, reused,
      })
      : fill(texts[`running_${state.now}`], { i: stepOf(run), n: run.steps, reused });
  }

  function show() {
    pending = false;
    if (!state) return;
    showStatus();
    race.draw(state);
    const wait = drawnAt + PACE - performance.now();
    if (wait <= 0) drawCharts();
    else if (!timer) timer = setTimeout(drawCharts, wait);
  }

  function drawCharts() {
    clearTimeout(timer);
    timer = 0;
    drawnAt = performance.now();
    charts.draw(state);
  }

  // Take the rows that are new. A list with another run's beginning starts the panel anew.
  function feed(next) {
    const [first] = next;
    if (!first) return;
    if (first.k === "begin") {
      if (first.id !== state?.id) taken = 0;
      rows = next;
      while (taken < rows.length) {
        const row = rows[taken];
        taken += 1;
        onRow[row.k]?.(row);
        notify("row", row, state);
      }
    } else { // a message on its own: about a run that has not begun, or was cancelled
      onRow[first.k]?.(first);
      notify("message", first);
    }
    if (!pending) {
      pending = true;
      requestAnimationFrame(show);
    }
  }

  // All that is shown is shown once more, in the other language; what the server wrote, too.
  function onLanguageChange() {
    localise(root, texts);
    trigger("input");
    player.showState();
    notify("relabel");
    taken = 0;
    feed(rows);
  }

  startKiosk(panel);
  root.removeAttribute("data-loading");
  const readValue = () => feed(Array.isArray(props.value) ? props.value : []);
  watch("value", readValue);
  readValue();
}

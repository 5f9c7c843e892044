// The panel: takes the rows as they come, keeps the state of both runs, and shows it.

import { motionIsReduced } from "../lib/elements.js";
import { localAddress } from "../lib/fetched.js";
import { translated } from "../lib/phrases.js";
import { fill, liveTexts, localise } from "../lib/texts.js";
import { createNumbers } from "../lib/numbers.js";
import { isComplete, isReused, isRunning } from "../lib/runs.js";
import { serverRoot } from "../lib/server.js";
import { startKeys } from "../page/keys.js";
import { startThemeSwitch } from "../page/theme_switch.js";
import { makeRoomForToasts } from "../page/toasts.js";
import { createCharts } from "../steps/charts.js";
import { createTransformer } from "../steps/transformer.js";
import { createWhatIf } from "../steps/what_if.js";
import { createHistory } from "../page/history.js";
import { createRefusal } from "../page/refusal.js";
import { createSliderWatch } from "../page/slider_watch.js";
import { createServerWatch } from "../page/server_watch.js";
import { createShownSettings } from "../page/shown_settings.js";
import { createPlayer } from "../videos/player.js";
import { createScrubber } from "../videos/scrubber.js";
import { createViews } from "../videos/views.js";
import { createGallery } from "./gallery.js";
import { startStage } from "./on_stage.js";
import { createProgress } from "./progress.js";
import { createRace } from "./race.js";
import { createResult } from "./result.js";
import { createRuler } from "./ruler.js";
import { createTour } from "./tour.js";

const PACE = 250; // ms between drawings of the charts: the model may need this very processor
const NEAR_TOP = 0.3; // of the window's height: what is taller than the window may begin here
const PARTS = [
  createTransformer, createScrubber, createWhatIf, createViews, createResult, createRuler,
  createGallery, createTour, createProgress, createShownSettings, createRefusal, createHistory,
  createSliderWatch, createServerWatch,
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
    root, texts, numbers, base, props, watch, trigger, runName, feed, bringIntoView, lookAt,
    plotlyUrl: base + props.plotly,
  };
  panel.player = createPlayer(root, texts, runTitle);
  panel.charts = createCharts(panel);
  const { player, charts } = panel;
  const overview = root.querySelector(".bw-overview");
  const race = createRace(panel);
  // Each may have begin(state), row(row, state), done(row, state), lookAt(step) and relabel().
  const parts = PARTS.map((create) => create(panel));
  const notify = (event, ...values) => parts.forEach((part) => part[event]?.(...values));

  // What a run is called; the cached one by its method.
  function runName(run) {
    if (run !== "cached" || !state) return texts[run];
    return texts[`method_${state.settings?.reuse}`] || state.method;
  }

  // The same with which control it is, where there is room.
  function runTitle(run) {
    return run === "control" ? `${texts.control}: ${controlKind()}` : runName(run);
  }

  // Recorded runs of former versions say none: theirs had fewer steps.
  function controlKind() {
    return texts[`control_kind_${state?.settings?.control ?? "fewer"}`];
  }

  // All parts show an earlier step of the denoising; null: the newest.
  function lookAt(step) {
    notify("lookAt", step);
  }

  // Scrolls to the race from wherever one is, as far as it is not in sight.
  function bringIntoView() {
    const { top, bottom, height } = overview.getBoundingClientRect();
    const isTall = height > innerHeight;
    const isSeen = top >= 0 && (isTall ? top < innerHeight * NEAR_TOP : bottom <= innerHeight + 1);
    if (isSeen) return;
    overview.scrollIntoView({
      behavior: motionIsReduced() ? "auto" : "smooth", block: isTall ? "start" : "nearest",
    });
  }

  function begin(row) {
    const { steps } = row;
    const emptyRun = () => ({ rows: [], s: 0, steps, started: false, remembered: false });
    const runs = Object.fromEntries(row.runs.map((name) => [name, emptyRun()]));
    state = { ...row, runs, speed: null };
    root.dataset.phase = "running";
    player.reset(row.runs, row);
    charts.reset();
    race.reset();
    note.hidden = true;
    status.textContent = texts.preparing;
    notify("begin", state);
    if (!row.recorded) bringIntoView();
  }

  const onRow = {
    begin,
    // After a "retry" what the runs have told so far is void.
    loading(row) {
      if (row.stage === "retry") begin({ ...state, runs: Object.keys(state.runs) });
      const stage = row.stage === "download" ? "load" : row.stage; // of unknown size
      status.textContent = row.total
        ? fill(texts.stage_download, gigabytes(row)) : texts[`stage_${stage}`];
      if (!row.note) return;
      Object.assign(note, { textContent: translated(row.note, texts), hidden: false });
    },
    start(row) {
      const { steps, remembered } = row;
      Object.assign(state.runs[row.run], { started: true, steps, remembered });
      if (remembered) player.stage(row.run).classList.add("remembered");
    },
    step(row) {
      const run = state.runs[row.run];
      run.rows.push(row);
      run.s = row.s;
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
    waiting(row) {
      halt("running", row.text);
      bringIntoView();
    },
    stopped: (row) => halt("stopped", row.text),
    error: (row) => halt("error", row.text),
  };

  function gigabytes({ done, total }) {
    return { done: numbers.significant(done, 4), total: numbers.significant(total, 4) };
  }

  function halt(phase, text) {
    root.dataset.phase = phase;
    status.textContent = text;
  }

  function showStatus() {
    const all = state ? Object.values(state.runs) : [];
    if (root.dataset.phase !== "running" || !all.some((run) => run.started)) return;
    if (all.every(isComplete)) {
      status.textContent = texts.finishing;
      return;
    }
    const running = Object.keys(state.runs).filter((name) => isRunning(state.runs[name]));
    const name = running.length > 1 ? "race" : running[0];
    if (!name) return; // the next run has yet to begin
    const { baseline, cached } = state.runs;
    const run = name === "race" ? cached : state.runs[name];
    const at = ({ rows: made, steps }) => Math.min(made.length + 1, steps);
    status.textContent = fill(texts[`running_${name}`], {
      i: at(run), n: run.steps, uncached: at(baseline), all: baseline.steps,
      reused: run.rows.filter(isReused).length, kind: controlKind(),
    });
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

  startStage(panel);
  startKeys(panel);
  startThemeSwitch();
  makeRoomForToasts();
  root.removeAttribute("data-loading");
  const readValue = () => feed(Array.isArray(props.value) ? props.value : []);
  watch("value", readValue);
  readValue();
}

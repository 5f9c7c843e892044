// The panel: takes the rows as they come, keeps the state of both runs, and shows it.
// `element`, `props` and `watch` are what Gradio hands to a component's script.

const LANGUAGE = setLanguage(element, props, ".bw");
tellPage(LANGUAGE, props);
const T = { ...props.texts[LANGUAGE] };
const root = element.querySelector(".bw");
const base = (window.gradio_config?.root || "").replace(/\/$/, "");
const player = createPlayer(root, T);
const charts = createCharts(root, T, `${base}/gradio_api/file=${props.plotly}`);
const at = (name) => root.querySelector(name);
const PACE = 250; // ms between drawings of the charts: the model may need this very processor
let state = null, seen = 0, pending = false, drawnAt = 0, later = 0;

// The panel's parts. Each may have begin(state), row(row, state), done(row, state) and draw(state).
const panel = { root, T, base, props, player, charts, feed, state: () => state };
const parts = [createWhatIf, createViews, createGallery, createTour, createProgress, createKiosk].map((create) => create(panel));
const tell = (event, ...all) => parts.forEach((part) => part[event]?.(...all));

const FILES = ["baseline", "cached", "control", "difference", "trace", "summary"];
const ROOM = 0.16; // share of a track that the saved seconds need to be written in it

const seconds = (value) => (value < 10 ? value.toFixed(2) : value.toFixed(1));
const inSeconds = (value) => fill(T.seconds, { s: seconds(value) });
const reusedIn = (run) => run.rows.filter((row) => row.a === "r").length;

function begin(row) {
  const run = () => ({ rows: [], s: 0, steps: row.steps, started: false, remembered: false });
  state = { ...row, runs: Object.fromEntries(row.runs.map((name) => [name, run()])), now: null };
  root.dataset.phase = "running";
  T.cached = T[`method_${row.settings?.reuse}`] || row.method;
  player.reset(row.runs, row);
  charts.reset();
  at(".bw-race").replaceChildren();
  at(".bw-files").hidden = true;
  at(".bw-sentence").textContent = "";
  at(".bw-numbers").replaceChildren();
  at(".bw-control-line").hidden = at(".bw-warning").hidden = at(".bw-loading-note").hidden = true;
  at(".bw-fine-print").textContent = "";
  at(".bw-status-text").textContent = T.preparing;
  tell("begin", state);
  const top = root.getBoundingClientRect().top;
  if (top > innerHeight * 0.6 && !row.recorded) root.scrollIntoView({ behavior: "smooth", block: "start" });
}

const take = {
  begin,
  // After a "retry" what the runs have told so far is void.
  loading(row) {
    state.now = null;
    if (row.stage === "retry") begin({ ...state, runs: Object.keys(state.runs) });
    const words = row.total ? fill(T.stage_download, row) : T[`stage_${row.stage === "download" ? "load" : row.stage}`];
    at(".bw-status-text").textContent = words;
    if (row.note) Object.assign(at(".bw-loading-note"), { textContent: row.note, hidden: false });
  },
  start(row) {
    state.now = row.run;
    Object.assign(state.runs[row.run], { started: true, steps: row.steps, remembered: row.remembered });
    if (row.remembered) root.querySelector(`[data-run=${row.run}]`).classList.add("remembered");
  },
  step(row) {
    const run = state.runs[row.run];
    run.rows.push(row);
    run.s = row.s;
    if (row.p) player.preview(row.run, row.p);
  },
  video: (row) => player.load(row.run, base + row.url),
  done(row) {
    root.dataset.phase = row.steps_reused ? "done" : "nothing";
    showRace();
    showResult(row);
    player.begin();
    tell("done", row, state);
  },
  waiting: (row) => halt("running", row.text),
  stopped: (row) => halt("stopped", row.text),
  error: (row) => halt("error", row.text),
};

function halt(phase, text) {
  if (state) state.now = null;
  root.dataset.phase = phase;
  at(".bw-status-text").textContent = text;
}

function showResult(row) {
  at(".bw-sentence").textContent = row.verdict;
  at(".bw-warning").hidden = !row.warning;
  at(".bw-warning").textContent = row.warning || "";
  const gained = row.baseline_seconds - row.cached_seconds;
  const psnr = row.psnr_db === null ? T.identical : `${row.psnr_db.toFixed(1)} dB`;
  const tiles = [
    [inSeconds(Math.abs(gained)), gained >= 0 ? T.saved : T.lost],
    [`${row.speedup.toFixed(2)}×`, T.speedup],
    [`${row.steps_reused} / ${row.steps_computed + row.steps_reused}`, T.reused],
    [psnr, T.psnr],
    [row.ssim.toFixed(3), T.ssim],
  ];
  if (row.lpips !== null && row.lpips !== undefined) tiles.push([row.lpips.toFixed(3), T.lpips]);
  at(".bw-numbers").replaceChildren(...tiles.map(([value, name]) => {
    const tile = make("div");
    tile.append(make("dt", "", name), make("dd", "", value));
    return tile;
  }));
  const control = at(".bw-control-line");
  control.hidden = !row.control_steps;
  if (row.control_steps) {
    const psnrText = row.control_psnr_db === null ? T.identical : `${row.control_psnr_db.toFixed(1)} dB`;
    control.textContent = fill(T.control_line, { steps: row.control_steps, seconds: seconds(row.control_seconds), psnr: psnrText });
  }
  const share = significant(100 * row.indicator_share, 2);
  at(".bw-fine-print").textContent = fill(T.fine_print, { device: row.device, share });
  const files = at(".bw-files");
  files.replaceChildren(files.firstElementChild);
  for (const name of FILES.filter((file) => file in row.files)) {
    const link = make("a", "", T[`file_${name}`]);
    link.href = base + row.files[name];
    link.download = "";
    files.append(link);
  }
  files.hidden = false;
  if (gained / row.baseline_seconds > ROOM) {
    at(".bw-lane[data-run=cached] .bw-track").append(
      make("span", "bw-gap", `${inSeconds(gained)} ${T.saved}`));
  }
}

function showStatus() {
  if (root.dataset.phase !== "running" || !state.now) return;
  const run = state.runs[state.now];
  const last = [...Object.values(state.runs)].pop();
  const finished = last.started && last.rows.length === last.steps;
  at(".bw-status-text").textContent = finished ? T.finishing
    : fill(T[`running_${state.now}`], { i: Math.min(run.rows.length + 1, run.steps), n: run.steps, reused: reusedIn(run) });
}

// Bars share one scale: the longest run's time, foreseen from its steps so far.
function showRace() {
  const foreseen = ({ rows, s, steps }) => (rows.length ? (s / rows.length) * steps : 0);
  const longest = Math.max(...Object.values(state.runs).map((run) => run === state.runs.baseline ? foreseen(run) : run.s), 1e-9);
  for (const [name, run] of Object.entries(state.runs)) {
    let lane = at(`.bw-lane[data-run=${name}]`);
    if (!lane) {
      lane = make("div", "bw-lane");
      lane.dataset.run = name;
      lane.append(make("span", "bw-lane-name", T[name]), make("div", "bw-track"), make("output"));
      lane.children[1].append(make("div", "bw-bar"));
      at(".bw-race").append(lane);
    }
    const bar = lane.querySelector(".bw-bar");
    for (let i = bar.children.length; i < run.rows.length; i += 1) {
      const part = make("i", run.rows[i].a === "r" ? "bw-r" : "bw-c");
      part.style.flexGrow = Math.max(run.rows[i].s - (i ? run.rows[i - 1].s : 0), 1e-6);
      bar.append(part);
    }
    bar.style.width = `${(100 * run.s) / longest}%`;
    lane.lastChild.textContent = run.started ? inSeconds(run.s) : "";
    const kind = name === "control" ? T.control_note : "";
    const note = run.remembered ? T.remembered : run.started ? kind : T.waiting;
    player.label(name, run.started ? inSeconds(run.s) : "", note);
    player.stage(name)?.classList.toggle("active", state.now === name && root.dataset.phase === "running");
  }
}

function show() {
  pending = false;
  if (!state) return;
  showStatus();
  showRace();
  const wait = drawnAt + PACE - performance.now();
  if (wait <= 0) drawCharts();
  else if (!later) later = setTimeout(drawCharts, wait);
}

function drawCharts() {
  clearTimeout(later);
  later = 0;
  drawnAt = performance.now();
  charts.draw(state);
  tell("draw", state);
}

const read = () => feed(Array.isArray(props.value) ? props.value : []);

// Take the rows that are new. A list with another run's beginning starts the panel afresh.
function feed(rows) {
  const first = rows[0];
  if (!first) return;
  if (first.k !== "begin") { // a message on its own: about a run that has not begun, or was cancelled
    take[first.k]?.(first);
  } else if (!state || first.id !== state.id) {
    seen = 0;
  }
  if (first.k === "begin") {
    for (; seen < rows.length; seen += 1) {
      take[rows[seen].k]?.(rows[seen]);
      tell("row", rows[seen], state);
    }
  }
  if (!pending) {
    pending = true;
    requestAnimationFrame(show);
  }
}

watch("value", read);
read();

// "Find my threshold": takes the rows of `finder.py` as they come; progress, chart, table, outcome.
// `element`, `props`, `watch` and `trigger` are what Gradio hands to a component's script.

const T = props.texts[setLanguage(element, props, ".bw-finder")];
const root = element.querySelector(".bw-finder");
const base = (window.gradio_config?.root || "").replace(/\/$/, "");
const at = (name) => root.querySelector(name);
const colour = (name) => getComputedStyle(root).getPropertyValue(name).trim();
const [chart, bar, body] = [".bwf-chart", "progress", "tbody"].map(at);
let state = null, seen = 0, plotly = null, listening = false;

const decibels = (value) => (value === null ? T.identical : `${value.toFixed(1)} dB`);
const picture = (data) => `data:image/webp;base64,${data}`;
const computed = (trial) => [...trial.w].filter((letter) => letter === "C").length;
const setting = (row) => ({ threshold: significant(row.t, 6), interval: row.r });

const take = {
  begin(row) {
    state = { ...row, trials: [], now: null, most: 1, n: 0, done: 0, best: null, strip: null };
    root.dataset.state = "running";
    body.replaceChildren();
    at(".bwf-sentence").textContent = at(".bwf-used").textContent = at(".bwf-choice").textContent = "";
    at(".bwf-use-line").hidden = true;
    at(".bwf-status").textContent = T.preparing;
    bar.value = 0;
    look(null);
  },
  uncached: (row) => { state.now = { ...row, k: "uncached" }; },
  known(row) {
    Object.assign(state, { most: row.most, n: row.n, strip: row.p, done: 1 });
    const choice = fill(T.choice, row);
    at(".bwf-choice").textContent = row.remembered ? `${T.remembered} ${choice}` : choice;
  },
  try: (row) => { state.now = { ...row, n: state.n }; progress(0); },
  at: (row) => progress(row.i),
  trial(row) {
    state.trials.push(row);
    state.done = 1 + row.i;
    body.append(line(row));
    look(row);
  },
  done(row) {
    Object.assign(state, { now: null, best: row.t === undefined ? null : row });
    root.dataset.state = row.ok ? "met" : "missed";
    at(".bwf-sentence").textContent = row.text;
    at(".bwf-use-line").hidden = !state.best;
    const chosen = recommended();
    for (const tr of body.children) tr.classList.toggle("best", Number(tr.dataset.i) === chosen?.i);
    if (chosen) look(chosen);
  },
  waiting: (row) => halt("running", row.text),
  stopped: (row) => halt("stopped", row.text),
  error: (row) => halt("error", row.text),
};

function halt(next, text) {
  root.dataset.state = next;
  at(".bwf-status").textContent = text;
}

// The trial of the recommended setting; of two, the slower, as the sentence has it.
const recommended = () => state.best && state.trials.filter((trial) => trial.t === state.best.t && trial.r === state.best.r)
  .sort((one, other) => one.x - other.x)[0];

function progress(i) {
  const { now } = state;
  if (!now) return;
  const part = Math.min(i / now.n, 1);
  bar.value = now.k === "uncached" ? part / (state.most + 1) : (now.i + part) / (state.most + 1);
  if (now.k === "uncached") {
    at(".bwf-status").textContent = fill(T.uncached, { i, n: now.n });
    return;
  }
  const left = Math.max(1, Math.round(now.left - part * now.s));
  const trial = fill(T.trial, { i: now.i, most: state.most, ...setting(now) });
  at(".bwf-status").textContent = `${trial} · ${fill(T.left, { s: left })}`;
}

// --- one trial, looked at ------------------------------------------------------------------------
function look(trial) {
  at(".bwf-detail-title").textContent = trial ? fill(T.detail, { i: trial.i, ...setting(trial) }) : T.detail_idle;
  const strips = { uncached: trial && state.strip, cached: trial && trial.p };
  for (const [run, data] of Object.entries(strips)) {
    const figure = at(`figure[data-run=${run}]`);
    figure.hidden = !data;
    if (!data) continue;
    figure.firstElementChild.src = picture(data);
    figure.firstElementChild.alt = fill(T.strip_alt, { run: T[`strip_${run}`] });
  }
  at(".bwf-numbers").textContent = trial ? fill(T.numbers, {
    x: trial.x.toFixed(2), psnr: decibels(trial.psnr), ssim: trial.ssim.toFixed(3), c: computed(trial), n: trial.w.length,
  }) : "";
  at(".bwf-schedule").replaceChildren(...[...(trial ? trial.w : "")].map((letter) => make("i", letter === "r" ? "bwf-r" : "", letter)));
  for (const tr of body.children) tr.classList.toggle("seen", Number(tr.dataset.i) === trial?.i);
}

function line(trial) {
  const tr = make("tr");
  tr.dataset.i = trial.i;
  const first = make("th"), button = make("button", "", String(trial.i));
  first.scope = "row";
  button.type = "button";
  button.setAttribute("aria-label", fill(T.look, { i: trial.i }));
  first.append(button);
  const { threshold, interval } = setting(trial);
  const cells = [threshold, interval, `${trial.x.toFixed(2)}×`, trial.psnr === null ? T.identical : trial.psnr.toFixed(1),
    trial.ssim.toFixed(3), fill(T.steps, { c: computed(trial), n: trial.w.length }), trial.ok ? T.yes : T.no];
  tr.append(first, ...cells.map((text) => make("td", "", text)));
  tr.classList.toggle("ok", trial.ok);
  for (const event of ["mouseenter", "click"]) tr.addEventListener(event, () => look(trial));
  button.addEventListener("focus", () => look(trial));
  return tr;
}

// --- the chart -----------------------------------------------------------------------------------
function loadPlotly() {
  plotly ??= new Promise((resolve, reject) => {
    if (window.Plotly) return resolve(window.Plotly);
    const tag = make("script");
    tag.src = `${base}/gradio_api/file=${props.plotly}`;
    tag.onload = () => resolve(window.Plotly);
    tag.onerror = reject;
    document.head.append(tag);
  });
  return plotly;
}

async function draw() {
  if (!state?.trials.length || !chart.clientWidth) return;
  const Plotly = await loadPlotly();
  const { trials, goal, value, id } = state;
  const [ink, grid, cached, limit, uncached] = ["--ink-2", "--line", "--cached", "--limit", "--uncached"].map(colour);
  const known = trials.map((trial) => trial.psnr).filter((psnr) => psnr !== null);
  const heights = goal === "psnr" ? [...known, value] : known;
  const top = Math.max(...heights, 20) + 4; // identical videos have no PSNR: they stand at the top
  const far = trials.map((trial) => trial.x);
  const ahead = Math.max(...far) * 1.15;
  const chosen = recommended();
  const trace = (name, some, marker) => ({
    name, type: "scatter", mode: "markers", marker, showlegend: some.length > 0,
    x: some.map((trial) => trial.x), y: some.map((trial) => trial.psnr ?? top), customdata: some,
    text: some.map((trial) => `${T.detail.replace("{i}", trial.i).replace("{threshold}", setting(trial).threshold).replace("{interval}", trial.r)}<br>${trial.x.toFixed(2)}× · ${decibels(trial.psnr)}`),
    hovertemplate: "%{text}<extra></extra>",
  });
  const rest = trials.filter((trial) => trial !== chosen);
  const traces = [
    trace(T.misses, rest.filter((trial) => !trial.ok), { size: 11, symbol: "x-thin", line: { width: 2.5, color: uncached } }),
    trace(T.meets, rest.filter((trial) => trial.ok), { size: 11, symbol: "circle", color: cached }),
    trace(T.recommended, chosen ? [chosen] : [], { size: 19, symbol: "star", color: chosen?.ok ? cached : limit, line: { width: 1, color: colour("--card") } }),
  ];
  const upright = goal === "speedup", inside = !upright || value <= ahead * 1.3;
  const rule = upright ? { xref: "x", x0: value, x1: value, yref: "paper", y0: 0, y1: 1 } : { xref: "paper", x0: 0, x1: 1, y0: value, y1: value };
  const note = upright ? { x: value, yref: "paper", y: 0, xanchor: "left", yanchor: "bottom" } : { xref: "paper", x: 1, xanchor: "right", y: value, yanchor: "bottom" };
  const layout = {
    uirevision: id, height: 300, margin: { l: 46, r: 12, t: 30, b: 42 },
    paper_bgcolor: "transparent", plot_bgcolor: "transparent",
    font: { family: "system-ui, sans-serif", size: 12, color: ink },
    hovermode: "closest", dragmode: false,
    hoverlabel: { bgcolor: colour("--card"), bordercolor: grid, font: { color: colour("--ink") } },
    showlegend: true, legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", bgcolor: "transparent" },
    xaxis: { title: { text: T.speedup, standoff: 8 }, ticksuffix: "×", gridcolor: grid, zeroline: false, range: [Math.min(1, ...far) - 0.05, upright && inside ? Math.max(ahead, value * 1.1) : ahead] },
    yaxis: { title: { text: T.psnr, standoff: 6 }, gridcolor: grid, zeroline: false, range: [Math.min(...heights, top) - 3, top + 2] },
    shapes: inside ? [{ type: "line", ...rule, line: { color: limit, width: 2, dash: "dash" } }] : [],
    annotations: inside ? [{ ...note, text: fill(T[`goal_${goal}`], { v: value }), showarrow: false, font: { color: limit, size: 12 }, bgcolor: colour("--card"), opacity: 0.9 }] : [],
  };
  await Plotly.react(chart, traces, layout, { displayModeBar: false, responsive: true, scrollZoom: false });
  chart.setAttribute("aria-label", fill(T.chart_label, { n: trials.length }));
  if (!listening) {
    listening = true;
    for (const event of ["plotly_hover", "plotly_click"]) chart.on(event, ({ points }) => look(points[0].customdata));
  }
}

at(".bwf-use").addEventListener("click", () => {
  const { t, r } = state.best;
  trigger("submit", { threshold: t, interval: r, gate: state.gate, model: state.model });
  at(".bwf-used").textContent = T.used;
});

const read = () => feed(Array.isArray(props.value) ? props.value : []);

// Take the rows that are new. A list with another search's beginning starts afresh.
function feed(rows) {
  const first = rows[0];
  if (!first) return;
  if (first.k !== "begin") take[first.k]?.(first);
  else {
    if (first.id !== state?.id) seen = 0;
    for (; seen < rows.length; seen += 1) take[rows[seen].k]?.(rows[seen]);
  }
  const told = state?.trials.length && rows.slice(-1)[0].k !== "at";
  if (told) draw().catch(() => { chart.textContent = ""; });
}

new MutationObserver(() => draw().catch(() => {})).observe(document.body, { attributeFilter: ["class"] });
watch("value", read);
read();

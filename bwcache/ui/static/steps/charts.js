// The three views over steps: indicator curve, strip, heatmap. They share one x axis: a column
// is a step in each of them. Reads the state that live.js keeps; changes nothing in it.

const VIEWS = ["baseline", "cached"];

function createCharts(root, T, plotlyUrl) {
  const find = (name) => root.querySelector(name);
  const [chart, strips, heats] = [find(".bw-chart"), find(".bw-strips"), find(".bw-heats")];
  const readout = find(".bw-readout");
  let state = null, show = "both", drawn = "", maps = [];
  let other = null; // {threshold, letters}: what another threshold would do, drawn in place of the run's
  const colour = (name) => getComputedStyle(root).getPropertyValue(name).trim();

  const plotly = new Promise((resolve, reject) => {
    if (window.Plotly) return resolve(window.Plotly);
    const tag = make("script");
    tag.src = plotlyUrl;
    tag.onload = () => resolve(window.Plotly);
    tag.onerror = reject;
    document.head.append(tag);
  });

  const gutter = () => [parseFloat(colour("--left")), parseFloat(colour("--right"))];

  // --- the indicator's curve ---------------------------------------------------------------
  function curve(run, look) {
    const rows = state.runs[run].rows;
    return {
      name: T[run],
      x: rows.map((row) => row.i + 1),
      y: rows.map((row) => (row.v > 0 ? row.v : null)),
      customdata: rows.map((row) => row.w || ""),
      hovertemplate: `%{y:.4f} · %{customdata}<extra>${T[run]}</extra>`,
      mode: "lines+markers",
      ...look,
    };
  }

  async function drawCurve() {
    const Plotly = await plotly;
    if (!state) return;
    const [left, right] = gutter();
    const ink = colour("--ink-2"), grid = colour("--line");
    const [uncached, cached, limit] = ["--uncached", "--cached", "--limit"].map(colour);
    const letters = other?.letters || state.runs.cached.rows.map((row) => row.a);
    const reused = letters.flatMap((letter, i) => (letter === "r" ? [i + 1] : []));
    const threshold = other ? other.threshold : state.threshold;
    const values = VIEWS.flatMap((run) => state.runs[run].rows.map((row) => row.v))
      .filter((v) => v > 0);
    if (state.threshold > 0) values.push(state.threshold);
    const low = Math.log10(Math.min(...values, 1)) - 0.08;
    const high = Math.log10(Math.max(...values, 0.01)) + 0.12;
    const traces = [
      curve("baseline", { line: { color: uncached, width: 2 }, marker: { size: 6, symbol: "circle-open", line: { width: 2 } } }),
      curve("cached", { line: { color: cached, width: 3 }, marker: { size: 9, symbol: "circle" } }),
    ];
    const narrow = chart.clientWidth < 520;
    const layout = {
      uirevision: state.id,
      height: 240,
      margin: { l: left, r: right, t: 28, b: 24 },
      paper_bgcolor: "transparent",
      plot_bgcolor: "transparent",
      font: { family: "system-ui, sans-serif", size: 12, color: ink },
      hovermode: "x unified",
      hoverlabel: { bgcolor: colour("--card"), bordercolor: grid, font: { color: colour("--ink") } },
      dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
      showlegend: true,
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", bgcolor: "transparent" },
      xaxis: { range: [0.5, state.steps + 0.5], gridcolor: "transparent", zeroline: false, tickfont: { color: ink }, ticksuffix: "", nticks: narrow ? 6 : 12 },
      yaxis: { type: "log", range: [low, high], gridcolor: grid, zeroline: false, dtick: "D2", tickfont: { color: ink }, exponentformat: "none", tickformat: "~g" },
      shapes: reused.map((x) => ({ type: "rect", xref: "x", yref: "paper", x0: x - 0.5, x1: x + 0.5, y0: 0, y1: 1, line: { width: 0 }, fillcolor: colour("--reuse-band"), layer: "below" })),
      annotations: [],
    };
    if (threshold > 0) {
      layout.shapes.push({ type: "line", xref: "paper", x0: 0, x1: 1, y0: threshold, y1: threshold, line: { color: limit, width: 2, dash: "dash" } });
      layout.annotations.push({ xref: "paper", x: 0, xanchor: "left", y: Math.log10(threshold), yanchor: "bottom", text: `${other ? T.whatif_line : T.threshold} ${significant(threshold)}`, showarrow: false, bgcolor: colour("--card"), opacity: 0.9, borderpad: 1, font: { color: limit, size: 12 } });
    }
    if (!narrow || state.steps <= 30) for (const x of reused) {
      layout.annotations.push({ x, y: 1, yref: "paper", yanchor: "top", text: "r", showarrow: false, font: { color: cached, size: 11 } });
    }
    Plotly.react(chart, traces, layout, { displayModeBar: false, responsive: true, scrollZoom: false });
  }

  // --- the strip of letters ----------------------------------------------------------------
  function drawStrips() {
    const runs = VIEWS.concat(state.runs.control ? ["control"] : []);
    while (strips.children.length > runs.length) strips.lastChild.remove();
    runs.forEach((run, at) => {
      if (!strips.children[at]) {
        const line = make("div", "bw-strip");
        line.append(make("span", "bw-strip-name"), make("div", "bw-cells"));
        strips.append(line);
      }
      const [name, cells] = strips.children[at].children;
      strips.children[at].dataset.run = run;
      name.textContent = T[run];
      const { steps, rows } = state.runs[run];
      cells.style.setProperty("--steps", Math.max(state.steps, steps));
      while (cells.children.length > rows.length) cells.lastChild.remove();
      for (let i = cells.children.length; i < rows.length; i += 1) {
        const row = rows[i];
        const cell = make("span", row.a === "r" ? "bw-r" : "bw-c", row.a);
        const action = row.a === "r" ? T.reused_word : T.computed_word;
        cell.title = fill(T.step_title, { run: T[run], i: row.i + 1, action, why: row.w || "" });
        cells.append(cell);
      }
      cells.classList.toggle("dense", cells.clientWidth / state.steps < 9);
    });
  }

  // --- the heatmap -------------------------------------------------------------------------
  function range() {
    const all = VIEWS.flatMap((run) => state.runs[run].rows.flatMap((row) => row.d || []))
      .filter((x) => x > 0);
    return all.length ? [Math.min(...all), Math.max(...all)] : null;
  }

  function drawHeats() {
    const runs = show === "both" ? VIEWS : [show];
    const blocks = Math.max(1, ...VIEWS.flatMap((run) => state.runs[run].rows.map((row) => (row.d || []).length)));
    if (heats.dataset.runs !== runs.join()) {
      heats.dataset.runs = runs.join();
      maps = runs.map((run) => {
        const canvas = make("canvas");
        canvas.setAttribute("role", "img");
        canvas.addEventListener("pointermove", (event) => point(event, run, canvas));
        canvas.addEventListener("pointerdown", (event) => point(event, run, canvas));
        canvas.addEventListener("pointerleave", () => { readout.textContent = T.readout_idle; });
        return { run, canvas };
      });
      heats.replaceChildren(...maps.map((map) => map.canvas));
    }
    const found = range();
    find(".bw-scale-low").textContent = found ? significant(found[0], 2) : "";
    find(".bw-scale-high").textContent = found ? significant(found[1], 2) : "";
    for (const map of maps) paint(map, blocks, found && logScale(...found));
  }

  function paint({ run, canvas }, blocks, scale) {
    const ratio = window.devicePixelRatio || 1;
    const [left, right] = gutter();
    const width = heats.clientWidth, top = 18;
    const cell = Math.min(Math.max(132 / blocks, 4), 18), height = top + cell * blocks + 4;
    if (!width) return;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.height = `${height}px`;
    const { rows } = state.runs[run];
    canvas.setAttribute("aria-label", fill(T.heat_label, { run: T[run], blocks, steps: rows.length }));
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const column = (width - left - right) / state.steps;
    Object.assign(canvas, { layout: { left, top, column, cell, blocks } });
    pen.fillStyle = colour("--well");
    pen.fillRect(left, top, width - left - right, cell * blocks);
    for (const row of rows) {
      const x = left + row.i * column;
      if (row.a === "r") hatch(pen, x, top, column, cell * blocks);
      if (!row.d || !scale) continue;
      row.d.forEach((value, block) => {
        if (value === null) return;
        pen.fillStyle = viridis(scale(value));
        pen.fillRect(x, top + (blocks - 1 - block) * cell, column + 0.4, cell + 0.4);
      });
    }
    pen.fillStyle = colour("--ink-2");
    pen.font = "600 12px system-ui, sans-serif";
    pen.textBaseline = "alphabetic";
    pen.fillText(T[run], left, 12);
    pen.font = "11px system-ui, sans-serif";
    pen.textAlign = "right";
    pen.fillText(String(blocks), left - 6, top + 9);
    if (blocks > 1) pen.fillText("1", left - 6, top + cell * blocks - 1);
    if (cell * blocks > 60) {
      pen.save();
      pen.translate(left - 8, top + cell * blocks / 2);
      pen.rotate(-Math.PI / 2);
      pen.textAlign = "center";
      pen.fillText(T.axis_block, 0, 0);
      pen.restore();
    }
  }

  function hatch(pen, x, y, width, height) {
    pen.save();
    pen.beginPath();
    pen.rect(x, y, width, height);
    pen.clip();
    pen.fillStyle = colour("--reuse-band");
    pen.fillRect(x, y, width, height);
    pen.strokeStyle = colour("--hatch");
    pen.lineWidth = 1;
    pen.beginPath();
    for (let at = -height; at < width; at += 6) {
      pen.moveTo(x + at, y + height);
      pen.lineTo(x + at + height, y);
    }
    pen.stroke();
    pen.restore();
  }

  function point(event, run, canvas) {
    if (!state || !canvas.layout) return;
    const { left, top, column, cell, blocks } = canvas.layout;
    const i = Math.floor((event.offsetX - left) / column);
    const b = blocks - 1 - Math.floor((event.offsetY - top) / cell);
    if (i < 0 || i >= state.steps || b < 0 || b >= blocks) {
      readout.textContent = T.readout_idle;
      return;
    }
    const row = state.runs[run].rows[i];
    const text = !row ? T.readout_none : row.a === "r" ? T.readout_reused
      : row.d ? T.readout_value : T.readout_first;
    const v = row && row.d ? significant(row.d[b]) : "";
    readout.textContent = fill(text, { run: T[run], i: i + 1, b: b + 1, v });
  }

  function draw(next) {
    state = next;
    if (!root.clientWidth) return;
    drawStrips();
    drawHeats();
    drawCurve().catch(() => { chart.textContent = ""; });
  }

  const redraw = () => state && draw(state);
  for (const button of root.querySelectorAll(".bw-toggle button")) {
    button.addEventListener("click", () => {
      show = button.dataset.show;
      for (const other of root.querySelectorAll(".bw-toggle button")) {
        other.setAttribute("aria-pressed", String(other === button));
      }
      redraw();
    });
  }
  new MutationObserver(redraw).observe(document.body, { attributeFilter: ["class"] });
  new ResizeObserver(() => {
    const size = `${heats.clientWidth}`;
    if (size !== drawn) redraw();
    drawn = size;
  }).observe(heats);
  const preview = (next) => { other = next; drawCurve().catch(() => {}); };
  const reset = () => { other = null; strips.replaceChildren(); };
  return { draw, preview, reset };
}

// The indicator at each step, with the threshold, on a logarithmic axis. Drawn by Plotly.

import { translated } from "../lib/phrases.js";
import { PLAIN, themed, whenInSight } from "../lib/plotly.js";
import { COMPARED } from "../lib/runs.js";

const HEIGHT = 240;
const NARROW = 520; // pixels: fewer ticks, and no letters where there are many steps
const MOST_LETTERS = 30; // steps that have a letter each in a narrow chart

export function createIndicatorCurve({ root, texts, numbers, runName, plotlyUrl, colour, gutter }) {
  const chart = root.querySelector(".bw-chart");
  let state = null;
  let preview = null; // {threshold, letters}, in place of the run's
  const redraw = whenInSight(chart, plotlyUrl, drawNow);

  function trace(run, style) {
    const { rows } = state.runs[run];
    return {
      name: runName(run),
      x: rows.map((row) => row.i + 1),
      y: rows.map((row) => (row.v > 0 ? row.v : null)),
      customdata: rows.map((row) => translated(row.w || "", texts)),
      hovertemplate: `%{y:.4f} · %{customdata}<extra>${runName(run)}</extra>`,
      mode: "lines+markers",
      ...style,
    };
  }

  function traces() {
    const [uncached, cached] = ["--uncached", "--cached"].map(colour);
    const open = { size: 6, symbol: "circle-open", line: { width: 2 } };
    return [
      trace("baseline", { line: { color: uncached, width: 2 }, marker: open }),
      trace("cached", { line: { color: cached, width: 3 }, marker: { size: 9, symbol: "circle" } }),
    ];
  }

  // The logarithms of the y axis's ends.
  function range() {
    const values = COMPARED.flatMap((run) => state.runs[run].rows.map((row) => row.v))
      .filter((v) => v > 0);
    if (state.threshold > 0) values.push(state.threshold);
    const low = Math.log10(Math.min(...values, 1)) - 0.08;
    return [low, Math.log10(Math.max(...values, 0.01)) + 0.12];
  }

  function band(step) {
    return {
      type: "rect", xref: "x", yref: "paper", x0: step - 0.5, x1: step + 0.5, y0: 0, y1: 1,
      line: { width: 0 }, fillcolor: colour("--reuse-band"), layer: "below",
    };
  }

  function letter(step) {
    return {
      x: step, y: 1, yref: "paper", yanchor: "top", text: "r", showarrow: false,
      font: { color: colour("--cached"), size: 11 },
    };
  }

  function limitLine(threshold) {
    return {
      type: "line", xref: "paper", x0: 0, x1: 1, y0: threshold, y1: threshold,
      line: { color: colour("--limit"), width: 2, dash: "dash" },
    };
  }

  function limitName(threshold) {
    const name = preview ? texts.whatif_line : texts.threshold;
    return {
      xref: "paper", x: 0, xanchor: "left", y: Math.log10(threshold), yanchor: "bottom",
      text: `${name} ${numbers.significant(threshold)}`, showarrow: false,
      bgcolor: colour("--card"), opacity: 0.9, borderpad: 1,
      font: { color: colour("--limit"), size: 12 },
    };
  }

  async function drawNow(Plotly) {
    if (!state || !root.clientWidth) return;
    const [left, right] = gutter();
    const letters = preview?.letters || state.runs.cached.rows.map((row) => row.a);
    const reused = letters.flatMap((one, i) => (one === "r" ? [i + 1] : []));
    const threshold = preview ? preview.threshold : state.threshold;
    const isNarrow = chart.clientWidth < NARROW;
    const tickfont = { color: colour("--ink-2") };
    const layout = {
      ...themed(colour, numbers),
      uirevision: state.id,
      height: HEIGHT,
      margin: { l: left, r: right, t: 28, b: 24 },
      hovermode: "x unified",
      dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
      showlegend: true,
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", bgcolor: "transparent" },
      xaxis: {
        range: [0.5, state.steps + 0.5], gridcolor: "transparent", zeroline: false, tickfont,
        ticksuffix: "", nticks: isNarrow ? 6 : 12,
      },
      yaxis: {
        type: "log", range: range(), gridcolor: colour("--line"), zeroline: false, dtick: "D2",
        tickfont, exponentformat: "none", tickformat: "~g",
      },
      shapes: reused.map(band),
      annotations: [],
    };
    if (threshold > 0) {
      layout.shapes.push(limitLine(threshold));
      layout.annotations.push(limitName(threshold));
    }
    if (!isNarrow || state.steps <= MOST_LETTERS) layout.annotations.push(...reused.map(letter));
    await Plotly.react(chart, traces(), layout, PLAIN);
  }

  return {
    draw(next) {
      state = next;
      redraw();
    },
    preview(next) {
      preview = next;
      redraw();
    },
    reset() {
      preview = null;
    },
  };
}

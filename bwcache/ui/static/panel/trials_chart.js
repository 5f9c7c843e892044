// The trials of a search: speed against closeness, with the goal. Drawn by Plotly.

import { cssVariable, onThemeChange } from "../lib/elements.js";
import { PLAIN, themed, whenInSight } from "../lib/plotly.js";
import { fill } from "../lib/texts.js";

const HEIGHT = 300;
const LEAST_TOP = 20; // dB: what the y axis reaches at least
const ROOM = 1.15; // to the right of the fastest trial
const FAR = 1.3; // beyond so much more than that, the goal is left out

// `nameOf(trial)`: its name; `lookAt(trial)`: shows it.
export function createTrialsChart({ root, texts, numbers, plotlyUrl, nameOf, lookAt }) {
  const chart = root.querySelector(".bwf-chart");
  const colour = (name) => cssVariable(root, name);
  let state = null;
  let chosen; // the recommended trial, if there is one
  let listens = false;
  const redraw = whenInSight(chart, plotlyUrl, drawNow);

  function traces(top) {
    const [cached, limit, uncached] = ["--cached", "--limit", "--uncached"].map(colour);
    const others = state.trials.filter((trial) => trial !== chosen);
    const trace = (name, trials, marker) => ({
      name, type: "scatter", mode: "markers", marker, showlegend: trials.length > 0,
      x: trials.map((trial) => trial.x),
      y: trials.map((trial) => trial.psnr ?? top),
      customdata: trials,
      text: trials.map((trial) => `${nameOf(trial)}<br>${numbers.fixed(trial.x, 2)}× · ${
        numbers.decibels(trial.psnr)}`),
      hovertemplate: "%{text}<extra></extra>",
    });
    const cross = { size: 11, symbol: "x-thin", line: { width: 2.5, color: uncached } };
    const star = {
      size: 19, symbol: "star", color: chosen?.ok ? cached : limit,
      line: { width: 1, color: colour("--card") },
    };
    return [
      trace(texts.misses, others.filter((trial) => !trial.ok), cross),
      trace(texts.meets, others.filter((trial) => trial.ok), {
        size: 11, symbol: "circle", color: cached,
      }),
      trace(texts.recommended, chosen ? [chosen] : [], star),
    ];
  }

  // The goal's line and its name.
  function goalMarks() {
    const { goal, value } = state;
    const limit = colour("--limit");
    const isUpright = goal === "speedup";
    const ends = isUpright
      ? { xref: "x", x0: value, x1: value, yref: "paper", y0: 0, y1: 1 }
      : { xref: "paper", x0: 0, x1: 1, y0: value, y1: value };
    const place = isUpright
      ? { x: value, yref: "paper", y: 0, xanchor: "left", yanchor: "bottom" }
      : { xref: "paper", x: 1, xanchor: "right", y: value, yanchor: "bottom" };
    return {
      shapes: [{ type: "line", ...ends, line: { color: limit, width: 2, dash: "dash" } }],
      annotations: [{
        ...place, text: fill(texts[`goal_${goal}`], { v: numbers.significant(value, 6) }),
        showarrow: false, font: { color: limit, size: 12 }, bgcolor: colour("--card"), opacity: 0.9,
      }],
    };
  }

  async function drawNow(Plotly) {
    if (!state || !chart.clientWidth) return;
    const { trials, goal, value, id } = state;
    const known = trials.map((trial) => trial.psnr).filter((psnr) => psnr !== null);
    const heights = goal === "psnr" ? [...known, value] : known;
    const top = Math.max(...heights, LEAST_TOP) + 4; // where identical videos stand, without a PSNR
    const speeds = trials.map((trial) => trial.x);
    const end = Math.max(...speeds) * ROOM;
    const hasGoal = goal !== "speedup" || value <= end * FAR;
    const right = goal === "speedup" && hasGoal ? Math.max(end, value * 1.1) : end;
    const axis = { gridcolor: colour("--line"), zeroline: false };
    const layout = {
      ...themed(colour, numbers),
      uirevision: id,
      height: HEIGHT,
      margin: { l: 46, r: 12, t: 30, b: 42 },
      hovermode: "closest",
      dragmode: false,
      showlegend: true,
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", bgcolor: "transparent" },
      xaxis: {
        ...axis, title: { text: texts.speedup, standoff: 8 }, ticksuffix: "×",
        range: [Math.min(1, ...speeds) - 0.05, right],
      },
      yaxis: {
        ...axis, title: { text: texts.psnr, standoff: 6 },
        range: [Math.min(...heights, top) - 3, top + 2],
      },
      ...(hasGoal ? goalMarks() : { shapes: [], annotations: [] }),
    };
    await Plotly.react(chart, traces(top), layout, PLAIN);
    chart.setAttribute("aria-label", fill(texts.chart_label, { n: trials.length }));
    if (listens) return;
    listens = true;
    for (const event of ["plotly_hover", "plotly_click"]) {
      chart.on(event, ({ points }) => lookAt(points[0].customdata));
    }
  }

  onThemeChange(redraw);
  return {
    draw(next, recommended) {
      state = next;
      chosen = recommended;
      redraw();
    },
  };
}

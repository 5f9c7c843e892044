// The trials of a search, with the goal.

import { fill } from "../lib/texts.js";
import { createJobChart, marks } from "./job_chart.js";

const ROOM = 1.15; // to the right of the fastest trial
const FAR = 1.3; // beyond so much more than that, the goal is left out

// `nameOf(trial)`: its name; the rest as of `createJobChart`.
export function createTrialsChart({ texts, numbers, nameOf, ...more }) {
  function tracesOf({ results, best }, top, colour) {
    const [cached, limit, uncached] = ["--cached", "--limit", "--uncached"].map(colour);
    const others = results.filter((trial) => trial !== best);
    const textOf = (trial) => `${nameOf(trial)}<br>${numbers.fixed(trial.x, 2)}× · ${
      numbers.decibels(trial.psnr)}`;
    const trace = (name, trials, marker) => ({
      name, mode: "markers", marker, showlegend: trials.length > 0, ...marks(trials, top, textOf),
    });
    const cross = { size: 11, symbol: "x-thin", line: { width: 2.5, color: uncached } };
    const star = {
      size: 19, symbol: "star", color: best?.ok ? cached : limit,
      line: { width: 1, color: colour("--card") },
    };
    return [
      trace(texts.misses, others.filter((trial) => !trial.ok), cross),
      trace(texts.meets, others.filter((trial) => trial.ok), {
        size: 11, symbol: "circle", color: cached,
      }),
      trace(texts.recommended, best ? [best] : [], star),
    ];
  }

  // The goal's line and its name.
  function goalMarks({ goal, value }, colour) {
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

  function figure(state, top, colour) {
    const { results, goal, value } = state;
    const speeds = results.map(({ x }) => x);
    const end = Math.max(...speeds) * ROOM;
    const hasGoal = goal !== "speedup" || value <= end * FAR;
    const right = goal === "speedup" && hasGoal ? Math.max(end, value * 1.1) : end;
    return {
      traces: tracesOf(state, top, colour),
      layout: {
        height: 300,
        margin: { l: 46, r: 12, t: 30, b: 42 },
        legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", bgcolor: "transparent" },
        xaxis: { range: [Math.min(1, ...speeds) - 0.05, right] },
        ...(hasGoal ? goalMarks(state, colour) : { shapes: [], annotations: [] }),
      },
    };
  }

  const goalsOf = ({ goal, value }) => (goal === "psnr" ? [value] : []);
  return createJobChart({ texts, numbers, figure, least: 20, goalsOf, ...more });
}

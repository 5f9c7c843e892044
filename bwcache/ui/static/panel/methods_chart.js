// Methods compared on one prompt: a line for each.

import { fill } from "../lib/texts.js";
import { createJobChart, marks } from "./job_chart.js";
import { looksOf } from "./method_looks.js";

// Pixels: the chart with its axis, the axis with its title, and a name in the legend.
const PLOT_HEIGHT = 300, AXIS_HEIGHT = 64, NAME_WIDTH = 300, NAME_HEIGHT = 20;

// `titleOf(name)`: what a family is called; the rest as of `createJobChart`.
export function createMethodsChart({ texts, numbers, titleOf, ...more }) {
  function drawnAs({ kind, symbol, hue }, colour) {
    const isOurs = kind === "ours", isUncached = kind === "uncached";
    const own = isOurs ? colour("--cached") : hue;
    const drawn = isUncached ? colour("--uncached") : own;
    return {
      marker: { color: drawn, size: isOurs ? 12 : 9, symbol },
      line: { color: drawn, width: isOurs ? 3 : 1.5, dash: isUncached ? "dot" : "solid" },
    };
  }

  function figure(state, top, colour, width) {
    const textOf = (point) => fill(texts.hover, {
      method: titleOf(point.f), x: numbers.fixed(point.x, 2),
      psnr: numbers.decibels(point.psnr), p: numbers.fixed(100 * point.c, 0),
    });
    const looks = looksOf(state.f);
    const traces = state.f.map((family, at) => {
      const points = state.results.filter(({ f }) => f === family.n)
        .sort((one, other) => one.x - other.x);
      return {
        name: titleOf(family.n), mode: "lines+markers", ...drawnAs(looks[at], colour),
        ...marks(points, top, textOf),
      };
    }).filter(({ x }) => x.length);
    const columns = Math.max(1, Math.floor(width / NAME_WIDTH));
    const names = Math.ceil(traces.length / columns) * NAME_HEIGHT;
    return {
      traces,
      layout: {
        height: PLOT_HEIGHT + names,
        margin: { l: 46, r: 12, t: 12, b: 42 },
        legend: {
          orientation: "h", x: 0, y: -AXIS_HEIGHT / (PLOT_HEIGHT - AXIS_HEIGHT), yanchor: "top",
          bgcolor: "transparent", maxheight: names + NAME_HEIGHT,
        },
      },
    };
  }

  return createJobChart({ texts, numbers, figure, least: 30, ...more });
}

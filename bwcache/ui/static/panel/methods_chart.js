// Methods compared on one prompt: a line for each.

import { fill } from "../lib/texts.js";
import { createJobChart, marks } from "./job_chart.js";
import { looksOf } from "./method_looks.js";

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

  function figure(state, top, colour) {
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
    return {
      traces,
      layout: {
        height: 380,
        margin: { l: 46, r: 12, t: 12, b: 42 },
        legend: { orientation: "h", x: 0, y: -0.2, yanchor: "top", bgcolor: "transparent" },
      },
    };
  }

  return createJobChart({ texts, numbers, figure, least: 30, ...more });
}

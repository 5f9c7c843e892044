// Methods compared on one prompt: a line for each.

import { fill } from "../lib/texts.js";
import { createJobChart, marks } from "./job_chart.js";

// A symbol each tells them apart without colours, too. Ours and uncached ones have their own hues.
const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "triangle-down", "cross", "hexagon"];
const HUES = ["#4269d0", "#e08c1a", "#d6604d", "#8c6bb1", "#3a9dc4", "#b0703c", "#97733a"];

// `titleOf(name)`: what a family is called; the rest as of `createJobChart`.
export function createMethodsChart({ texts, numbers, titleOf, ...more }) {
  function lookOf(family, at, colour) {
    const isUncached = family.n.startsWith("uncached/");
    const hue = HUES[at % HUES.length];
    const own = family.ours ? colour("--cached") : hue;
    const drawn = isUncached ? colour("--uncached") : own;
    return {
      marker: {
        color: drawn, size: family.ours ? 12 : 9,
        symbol: SYMBOLS[at % SYMBOLS.length] + (isUncached ? "-open" : ""),
      },
      line: { color: drawn, width: family.ours ? 3 : 1.5, dash: isUncached ? "dot" : "solid" },
    };
  }

  function figure(state, top, colour) {
    const textOf = (point) => fill(texts.hover, {
      method: titleOf(point.f), x: numbers.fixed(point.x, 2),
      psnr: numbers.decibels(point.psnr), p: numbers.fixed(100 * point.c, 0),
    });
    const traces = state.f.map((family, at) => {
      const points = state.results.filter(({ f }) => f === family.n)
        .sort((one, other) => one.x - other.x);
      return {
        name: titleOf(family.n), mode: "lines+markers", ...lookOf(family, at, colour),
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

// Methods compared on one prompt: speed against closeness, a line for each. Drawn by Plotly.

import { cssVariable, onThemeChange } from "../lib/elements.js";
import { PLAIN, themed, whenInSight } from "../lib/plotly.js";
import { fill } from "../lib/texts.js";

const HEIGHT = 380;
const LEAST_TOP = 30; // dB: what the y axis reaches at least
// A symbol each tells them apart without colours, too. Ours and uncached ones have their own hues.
const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "triangle-down", "cross", "hexagon"];
const HUES = ["#4269d0", "#e08c1a", "#d6604d", "#8c6bb1", "#3a9dc4", "#b0703c", "#97733a"];

// `titleOf(name)`: what a family is called; `lookAt(point)`: shows it.
export function createMethodsChart({ root, texts, numbers, plotlyUrl, titleOf, lookAt }) {
  const chart = root.querySelector(".bwf-chart");
  const colour = (name) => cssVariable(root, name);
  let state = null;
  let listens = false;
  const redraw = whenInSight(chart, plotlyUrl, drawNow);

  function lookOf(family, at) {
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

  function traces(top) {
    return state.f.map((family, at) => {
      const points = state.points.filter(({ f }) => f === family.n)
        .sort((one, other) => one.x - other.x);
      return {
        name: titleOf(family.n), type: "scatter", mode: "lines+markers", ...lookOf(family, at),
        x: points.map(({ x }) => x),
        y: points.map(({ psnr }) => psnr ?? top),
        customdata: points,
        text: points.map((point) => fill(texts.hover, {
          method: titleOf(family.n), x: numbers.fixed(point.x, 2),
          psnr: numbers.decibels(point.psnr), p: numbers.fixed(100 * point.c, 0),
        })),
        hovertemplate: "%{text}<extra></extra>",
      };
    }).filter(({ x }) => x.length);
  }

  async function drawNow(Plotly) {
    if (!state?.points.length || !chart.clientWidth) return;
    const known = state.points.map(({ psnr }) => psnr).filter((psnr) => psnr !== null);
    const top = Math.max(...known, LEAST_TOP) + 4; // where identical videos stand, without a PSNR
    const axis = { gridcolor: colour("--line"), zeroline: false };
    const layout = {
      ...themed(colour, numbers),
      uirevision: state.id,
      height: HEIGHT,
      margin: { l: 46, r: 12, t: 12, b: 42 },
      hovermode: "closest",
      dragmode: false,
      showlegend: true,
      legend: { orientation: "h", x: 0, y: -0.2, yanchor: "top", bgcolor: "transparent" },
      xaxis: { ...axis, title: { text: texts.speedup, standoff: 8 }, ticksuffix: "×" },
      yaxis: {
        ...axis, title: { text: texts.psnr, standoff: 6 },
        range: [Math.min(...known, top) - 3, top + 2],
      },
    };
    await Plotly.react(chart, traces(top), layout, PLAIN);
    chart.setAttribute("aria-label", fill(texts.chart_label, { n: state.points.length }));
    if (listens) return;
    listens = true;
    for (const event of ["plotly_hover", "plotly_click"]) {
      chart.on(event, ({ points }) => lookAt(points[0].customdata));
    }
  }

  onThemeChange(redraw);
  return {
    draw(next) {
      state = next;
      redraw();
    },
  };
}

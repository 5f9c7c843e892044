// A job's results: speed against closeness. Drawn by Plotly; its traces are the section's own.

import { cssVariable, onThemeChange } from "../lib/elements.js";
import { PLAIN, themed, whenInSight } from "../lib/plotly.js";
import { fill } from "../lib/texts.js";

// Marks of results, with a text each.
//   results, `top` (dB): where identical videos stand, which have no PSNR; `textOf(result)`
export function marks(results, top, textOf) {
  return {
    type: "scatter",
    x: results.map(({ x }) => x),
    y: results.map(({ psnr }) => psnr ?? top),
    customdata: results,
    text: results.map(textOf),
    hovertemplate: "%{text}<extra></extra>",
  };
}

// `lookAt(result)` shows one; the section's `figure(state, top, colour, width)` gives `traces` and
// what is its own of the `layout`, for a chart of so many pixels; `least` (dB): what the y axis
// reaches at least; `goalsOf(state)`: what else it has to reach.
export function createJobChart(
  { root, texts, numbers, plotlyUrl, lookAt, figure, least, goalsOf = () => [] },
) {
  const chart = root.querySelector(".bwf-chart");
  const colour = (name) => cssVariable(root, name);
  let state = null;
  let listens = false;
  const redraw = whenInSight(chart, plotlyUrl, drawNow);

  async function drawNow(Plotly) {
    if (!state?.results.length || !chart.clientWidth) return;
    const known = state.results.map(({ psnr }) => psnr).filter((psnr) => psnr !== null);
    const heights = [...known, ...goalsOf(state)];
    const top = Math.max(...heights, least) + 4;
    const axis = { gridcolor: colour("--line"), zeroline: false };
    const { traces, layout: { xaxis, ...own } } = figure(state, top, colour, chart.clientWidth);
    const layout = {
      ...themed(colour, numbers),
      uirevision: state.id,
      hovermode: "closest",
      dragmode: false,
      showlegend: true,
      xaxis: { ...axis, title: { text: texts.speedup, standoff: 8 }, ticksuffix: "×", ...xaxis },
      yaxis: {
        ...axis, title: { text: texts.psnr, standoff: 6 },
        range: [Math.min(...heights, top) - 3, top + 2],
      },
      ...own,
    };
    await Plotly.react(chart, traces, layout, PLAIN);
    chart.setAttribute("aria-label", fill(texts.chart_label, { n: state.results.length }));
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

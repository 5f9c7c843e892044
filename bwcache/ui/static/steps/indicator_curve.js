// The change of each step, with the threshold, on a logarithmic axis. Drawn by Plotly.
//
// The uncached run's curve compares each step with the one before. The cached run's dots compare
// with the last step that was computed: a line reaches back from each dot to that step, since the
// further back it lies the larger is the change, also above the threshold.

import { make } from "../lib/elements.js";
import { translated } from "../lib/phrases.js";
import { PLAIN, themed, whenInSight } from "../lib/plotly.js";
import { COMPARED, isReused } from "../lib/runs.js";
import { fill } from "../lib/texts.js";

const HEIGHT = 240; // where the page gives none
const NARROW = 520; // pixels: fewer ticks, and no letters where there are many steps
const MOST_LETTERS = 30; // steps that have a letter each in a narrow chart
const LINE = 1.4; // of a line of text, in its size

// How many steps back each step of a run found the last one that was computed.
export function stepsBack(rows) {
  let computed = 0;
  return rows.map((row, i) => {
    const back = i - computed;
    if (!isReused(row)) computed = i;
    return back;
  });
}

// Ticks between the logarithms `low` and `high`: 1, 2 and 5 times each power of ten, or where that
// is more than `most`, powers alone.
export function logTicks([low, high], most) {
  for (const digits of [[1, 2, 5], [1, 3], [1]]) {
    const found = [];
    for (let power = Math.floor(low); power <= high; power += 1) {
      for (const digit of digits) {
        const at = power + Math.log10(digit);
        if (at >= low && at <= high) found.push(Number((digit * 10 ** power).toPrecision(3)));
      }
    }
    if (found.length <= most || digits.length === 1) return found;
  }
  return [];
}

export function createIndicatorCurve({ root, texts, numbers, runName, plotlyUrl, colour, gutter }) {
  const chart = root.querySelector(".bw-chart");
  const key = make("p", "bw-chart-key");
  chart.before(key);
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
    const back = stepsBack(state.runs.cached.rows);
    return [
      trace("baseline", { line: { color: uncached, width: 2 }, marker: open }),
      trace("cached", {
        mode: "markers",
        marker: { size: 9, symbol: "circle", color: cached },
        error_x: {
          type: "data", symmetric: false, array: back.map(() => 0), arrayminus: back,
          color: cached, thickness: 2, width: 0,
        },
      }),
    ];
  }

  // What is compared with what: in words, above the chart, where nothing cuts them off.
  function drawKey() {
    const item = (name, text) => {
      const made = make("span", "bw-chart-key-item");
      made.append(make("i", `bw-mark-${name}`), text);
      return made;
    };
    const { rows } = state.runs.cached;
    // A method that measures nothing has no points to explain, once that is known.
    const measures = rows.length < state.steps || rows.some((row) => row.v > 0);
    const cached = item("cached", fill(texts.key_cached, { run: runName("cached") }));
    key.replaceChildren(
      item("baseline", fill(texts.key_uncached, { run: runName("baseline") })),
      item("reused", texts.key_reused),
      ...(measures ? [cached] : []),
    );
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
      font: { color: colour("--cached"), size: parseFloat(colour("--chart-font")) },
    };
  }

  function limitLine(threshold) {
    return {
      type: "line", xref: "paper", x0: 0, x1: 1, y0: threshold, y1: threshold,
      line: { color: colour("--limit"), width: 2, dash: "dash" },
    };
  }

  // Below its line, where at the left no curve is wont to be; above it where there is no room.
  function limitName(threshold, hasRoom) {
    const name = preview ? texts.whatif_line : texts.threshold;
    return {
      xref: "paper", x: 0, xanchor: "left", y: Math.log10(threshold), showarrow: false,
      borderpad: 1, yanchor: hasRoom ? "top" : "bottom",
      text: `${name} ${numbers.significant(threshold)}`,
      font: { color: colour("--limit"), size: parseFloat(colour("--chart-font")) },
    };
  }

  // The axes' titles lie flat, above the one and before the other, where nothing cuts them off.
  function axisNames(left) {
    const name = (place) => ({
      xref: "paper", yref: "paper", x: 0, xanchor: "left", xshift: -left, showarrow: false,
      borderpad: 0, font: { size: parseFloat(colour("--chart-font")) }, ...place,
    });
    return [
      name({ text: texts.axis_change, y: 1, yanchor: "bottom" }),
      name({ text: texts.axis_step, y: 0, yanchor: "top" }),
    ];
  }

  async function drawNow(Plotly) {
    if (!state || !chart.clientWidth) return;
    const [left, right] = gutter();
    const size = parseFloat(colour("--chart-font"));
    const height = chart.clientHeight || HEIGHT;
    const letters = preview?.letters || state.runs.cached.rows.map((row) => row.a);
    const reused = letters.flatMap((one, i) => (one === "r" ? [i + 1] : []));
    const threshold = preview ? preview.threshold : state.threshold;
    const isNarrow = chart.clientWidth < NARROW;
    const hasLetters = !isNarrow || (state.steps <= MOST_LETTERS && size < 14);
    const margin = { l: left, r: right, t: size * LINE, b: size * LINE + 2 };
    const tickfont = { color: colour("--ink-2") };
    const within = range();
    const inside = height - margin.t - margin.b;
    const tickvals = logTicks(within, inside / (size * LINE));
    const layout = {
      ...themed(colour, numbers),
      uirevision: state.id,
      height,
      margin,
      hovermode: "x unified",
      dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
      showlegend: false,
      xaxis: {
        range: [0.5, state.steps + 0.5], gridcolor: "transparent", zeroline: false, tickfont,
        ticksuffix: "", nticks: isNarrow ? 6 : 12,
      },
      yaxis: {
        type: "log", range: within, gridcolor: colour("--line"), zeroline: false, tickvals,
        ticktext: tickvals.map((value) => numbers.significant(value)), tickfont,
      },
      shapes: reused.map(band),
      annotations: axisNames(left),
    };
    if (threshold > 0) {
      layout.shapes.push(limitLine(threshold));
      const share = (Math.log10(threshold) - within[0]) / (within[1] - within[0]);
      layout.annotations.push(limitName(threshold, share * inside > size * LINE + 2));
    }
    if (hasLetters) layout.annotations.push(...reused.map(letter));
    await Plotly.react(chart, traces(), layout, PLAIN);
  }

  let drawnSize = "";
  new ResizeObserver(() => {
    const next = `${chart.clientWidth} ${chart.clientHeight}`;
    if (next !== drawnSize) redraw();
    drawnSize = next;
  }).observe(chart);

  return {
    draw(next) {
      state = next;
      drawKey();
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

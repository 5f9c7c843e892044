// The curves over frames: PSNR above SSIM, one x axis. They are a slider: a click or a key seeks
// the players, and their frame is marked. Identical frames have no PSNR; they say "=".

import { translated } from "../lib/phrases.js";
import { cssVariable, make, onThemeChange } from "../lib/elements.js";
import { PLAIN, themed, whenInSight } from "../lib/plotly.js";
import { fill } from "../lib/texts.js";

const BAND = 84; // pixels: a curve's height
const HEAD = 20; // the room above it, where its name stands
const GAP = 6; // more room above the second one
const FOOT = 20; // the x axis
const LEAST_LEFT = 46; // room for SSIM's digits
const DOTS_FROM = 7; // pixels a frame: with less room there is only the line
const TICK = 44; // pixels that a frame's number needs
const HEIGHT = HEAD + BAND + HEAD + GAP + BAND + FOOT;
const PLOT = HEIGHT - HEAD - FOOT;
const FAST = 5; // frames that a page key moves by

// A curve's place and scale in pixels. `most`: a bound of its values, above which is no room.
export function scaleOf(values, top, most = Infinity) {
  const known = values.filter((value) => value !== null);
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const bounded = most < Infinity;
  const room = Math.max(high - low, bounded ? 0.002 : 1) * 0.15;
  const [from, to] = [low - room, Math.min(high + room, most)];
  return {
    values,
    low,
    high,
    range: [from, to],
    digits: !bounded ? 1 : high - low < 0.01 ? 4 : 3,
    pixel: (value) => top + BAND - ((value - from) / (to - from)) * BAND,
  };
}

// The frame with the least PSNR; an identical one only where all are.
export function worstFrame(psnr) {
  let worst = 0;
  psnr.forEach((value, i) => {
    if (value !== null && (psnr[worst] === null || value < psnr[worst])) worst = i;
  });
  return worst;
}

export function createFrameCurves({ root, texts, numbers, player, plotlyUrl }) {
  const find = (name) => root.querySelector(name);
  const [card, slider, value] = [".bw-frames", ".bw-plot", ".bw-frames-value"].map(find);
  const [worst, alikeLine, noScore] = [".bw-worst", ".bw-alike", ".bw-no-score"].map(find);
  const chart = make("div");
  chart.setAttribute("aria-hidden", "true");
  const marks = ["bw-now-line", "bw-now-dot", "bw-now-dot"].map((name) => make("i", name));
  slider.append(chart, ...marks);
  const colour = (name) => cssVariable(root, name);
  let psnr = [];
  let ssim = [];
  let frame = 0; // where the players are
  let scales = [];
  const draw = whenInSight(slider, plotlyUrl, drawCurves);

  function reset() {
    [psnr, ssim, frame] = [[], [], 0];
    card.hidden = true;
  }

  function add(row) {
    psnr.splice(row.at, row.psnr.length, ...row.psnr);
    ssim.splice(row.at, row.ssim.length, ...row.ssim);
    const missing = ["vmaf", "lpips"].filter((score) => row[`${score}_reason`]);
    noScore.hidden = !missing.length;
    noScore.textContent = missing.map(
      (score) => fill(
        texts[`no_${score}`], { reason: translated(row[`${score}_reason`], texts) },
      ),
    ).join(" ");
  }

  function done() {
    const all = psnr.length;
    const alike = psnr.filter((one) => one === null).length;
    card.hidden = !all;
    alikeLine.hidden = !alike;
    const text = alike === all ? texts.frames_all_alike : texts.frames_alike;
    alikeLine.textContent = fill(text, { n: alike, all });
    slider.hidden = worst.hidden = value.hidden = alike === all;
    worst.textContent = fill(texts.worst, { i: worstFrame(psnr) + 1 });
    slider.setAttribute("aria-valuemax", all);
    scales = slider.hidden ? [] : [
      scaleOf(psnr, HEAD), scaleOf(ssim, HEAD + BAND + HEAD + GAP, 1),
    ];
    mark(frame);
    draw();
  }

  // Where the frames are, in pixels: each has a column of its own.
  function columns() {
    const left = Math.max(parseFloat(colour("--left")), LEAST_LEFT);
    const right = parseFloat(colour("--right"));
    const width = (slider.clientWidth - left - right) / psnr.length;
    return { left, right, width, middle: (i) => left + (i + 0.5) * width };
  }

  async function drawCurves(Plotly) {
    if (card.hidden || slider.hidden || !slider.clientWidth) return;
    const { left, right, width } = columns();
    const every = Math.ceil(psnr.length / Math.max(2, Math.floor((width * psnr.length) / TICK)));
    const shown = psnr.map((_, i) => i + 1).filter((i) => (i - 1) % every === 0);
    const axis = (scale, domain) => ({
      domain,
      range: scale.range,
      tickvals: scale.high - scale.low > 1e-9 ? [scale.low, scale.high] : [scale.low],
      ticktext: [scale.low, scale.high].map((one) => numbers.fixed(one, scale.digits)),
      gridcolor: colour("--line"),
      zeroline: false,
    });
    const note = (y, text) => ({
      xref: "paper", x: 0, xanchor: "left", yref: "paper", y, yanchor: "bottom", text,
      showarrow: false,
    });
    const equal = psnr.flatMap((one, i) => (one === null ? [i + 1] : [])).map((x) => ({
      x, y: 1, yref: "paper", yanchor: "top", text: "<b>=</b>", showarrow: false,
      font: { size: 14, color: colour("--ink") },
    }));
    const layout = {
      ...themed(colour, numbers),
      height: HEIGHT,
      margin: { l: left, r: right, t: HEAD, b: FOOT },
      showlegend: false,
      xaxis: {
        range: [0.5, psnr.length + 0.5], tickvals: shown, showgrid: false, zeroline: false,
        anchor: "y2",
      },
      yaxis: axis(scales[0], [1 - BAND / PLOT, 1]),
      yaxis2: axis(scales[1], [0, BAND / PLOT]),
      annotations: [
        note(1, `<b>${texts.frames_psnr}</b>`),
        note(BAND / PLOT, `<b>${texts.frames_ssim}</b>`),
        ...equal,
      ],
    };
    const trace = (values, symbol, yaxis) => ({
      x: values.map((_, i) => i + 1),
      y: values,
      yaxis,
      mode: width > DOTS_FROM ? "lines+markers" : "lines",
      line: { color: colour("--cached"), width: 2.5 },
      marker: { symbol, size: 6 },
    });
    const traces = [trace(psnr, "circle", "y"), trace(ssim, "square", "y2")];
    await Plotly.react(chart, traces, layout, { ...PLAIN, staticPlot: true });
    mark(frame);
  }

  function describe(i) {
    const known = { i: i + 1, n: psnr.length, ssim: numbers.fixed(ssim[i], 4) };
    if (psnr[i] === null) return fill(texts.frames_value_alike, known);
    return fill(texts.frames_value, { ...known, psnr: numbers.decibels(psnr[i]) });
  }

  // Marks a frame. Its own elements, not the chart's: a video moves them many times a second.
  function mark(now) {
    frame = now;
    if (card.hidden || !scales.length || now >= psnr.length) return;
    value.textContent = describe(now);
    slider.setAttribute("aria-valuenow", now + 1);
    slider.setAttribute("aria-valuetext", value.textContent);
    const x = columns().middle(now);
    for (const one of marks) one.style.left = `${x}px`;
    scales.forEach((scale, k) => {
      const dot = marks[k + 1];
      dot.hidden = scale.values[now] === null;
      if (!dot.hidden) dot.style.top = `${scale.pixel(scale.values[now])}px`;
    });
  }

  function frameUnder(event) {
    const { left, width } = columns();
    const x = event.clientX - slider.getBoundingClientRect().left;
    return Math.min(Math.max(Math.floor((x - left) / width), 0), psnr.length - 1);
  }

  slider.addEventListener("pointerdown", (event) => {
    slider.setPointerCapture(event.pointerId);
    player.seek(frameUnder(event));
  });
  slider.addEventListener("pointermove", (event) => {
    if (event.buttons & 1) player.seek(frameUnder(event));
    else value.textContent = describe(frameUnder(event));
  });
  slider.addEventListener("pointerleave", () => mark(frame));
  slider.addEventListener("keydown", (event) => {
    const last = psnr.length - 1;
    const goals = {
      ArrowLeft: frame - 1, ArrowDown: frame - 1, ArrowRight: frame + 1, ArrowUp: frame + 1,
      PageDown: frame - FAST, PageUp: frame + FAST, Home: 0, End: last, Enter: frame, " ": frame,
    };
    if (!(event.key in goals) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    player.seek(Math.min(Math.max(goals[event.key], 0), last));
  });
  worst.addEventListener("click", () => player.seek(worstFrame(psnr)));
  player.onFrame(mark);
  onThemeChange(draw);
  new ResizeObserver(draw).observe(slider);
  return { reset, add, done };
}

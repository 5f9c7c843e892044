// A short guided tour: each of its steps points at a part of the panel and says, with this run's
// numbers, what the part shows. Changes nothing in the run.

import { motionIsReduced } from "../lib/elements.js";
import { fill } from "../lib/texts.js";

const BEND = 1.15; // how far both ends stand above the lowest point of a curve called U-shaped

// What each step points at, and whether the paper has a figure for it.
const STOPS = [
  { name: "step", target: ".bw-race", facts: stepFacts },
  { name: "block", target: ".bw-heats", facts: blockFacts },
  { name: "curve", target: ".bw-chart", facts: curveFacts, paper: true },
  { name: "threshold", target: ".bw-whatif", facts: thresholdFacts, paper: true },
  { name: "reuse", target: ".bw-strips", facts: reuseFacts, paper: true },
  { name: "saved", target: ".bw-numbers", facts: savedFacts, paper: true },
  { name: "differ", target: ".bw-stages", facts: differenceFacts, paper: true },
];

// Each takes what is known of a finished run, and gives the numbers of a step's words, which `text`
// names where there are several; null where the run has none.
function stepFacts({ rows, whole, numbers }) {
  return { steps: rows.length, per: numbers.significant(whole / rows.length, 2) };
}

function blockFacts({ rows, whole }) {
  const inBlocks = rows.reduce((sum, row) => sum + row.b, 0);
  return {
    blocks: Math.max(...rows.map((row) => row.d?.length || 0)),
    share: Math.round((100 * inBlocks) / whole),
  };
}

export function curveFacts({ rows, numbers }) {
  const measured = rows.filter((row) => row.v > 0);
  if (!measured.length) return null;
  const rising = [...measured].sort((a, b) => a.v - b.v);
  const [lowest, highest] = [rising[0], rising.at(-1)];
  const [first, last] = [measured[0], measured.at(-1)];
  const isBent = Math.min(first.v, last.v) > BEND * lowest.v;
  return {
    text: isBent ? "curve" : "flat",
    first: numbers.significant(first.v),
    last: numbers.significant(last.v),
    low: numbers.significant(lowest.v),
    low_step: lowest.i + 1,
    high: numbers.significant(highest.v),
    high_step: highest.i + 1,
  };
}

function thresholdFacts({ rows, settings, scheduleTable, numbers }) {
  if (!scheduleTable || scheduleTable.startsAbove === null) return null;
  const known = {
    threshold: numbers.significant(settings.threshold),
    starts: numbers.significant(scheduleTable.startsAbove),
  };
  const { trigger } = scheduleTable;
  if (trigger === null) return { ...known, text: "never" };
  return { ...known, trigger: trigger + 1, value: numbers.significant(rows[trigger].v) };
}

function reuseFacts({ rows, settings, done }) {
  return { interval: settings.interval_steps, reused: done.steps_reused, steps: rows.length };
}

function savedFacts({ done, speed, method, numbers }) {
  if (!done.steps_reused && !done.steps_partial) return null; // whatever the clocks say
  return {
    text: speed?.busy ? "saved_busy" : "saved",
    method,
    whole: numbers.seconds(done.baseline_seconds),
    part: numbers.seconds(done.cached_seconds),
    speedup: numbers.fixed(done.speedup, speed?.busy ? 1 : 2),
    measuring: numbers.percent(done.indicator_share),
  };
}

function differenceFacts({ done, numbers }) {
  if (done.psnr_db === null) return { text: "same" };
  return { psnr: numbers.fixed(done.psnr_db, 1), ssim: numbers.fixed(done.ssim, 3) };
}

export function createTour({ root, texts, numbers, runName }) {
  const find = (name) => root.querySelector(`.bw-tour${name}`);
  const [dialog, start, next, back, close] = ["", "-start", "-next", "-back", "-close"].map(find);
  let stops = [];
  let place = 0;
  let target = null;

  // The steps this run has numbers for.
  function plan(done, state) {
    const { rows } = state.runs.baseline;
    const whole = rows.reduce((sum, row) => sum + row.n, 0);
    const run = { ...state, rows, whole, done, numbers, method: runName("cached") };
    return STOPS.flatMap((stop) => {
      const values = stop.facts(run);
      return values ? [{ ...stop, text: values.text || stop.name, values }] : [];
    });
  }

  function show(index) {
    place = index;
    const { name, text, values, paper, target: selector } = stops[place];
    find("-count").textContent = fill(texts.tour_count, { i: place + 1, n: stops.length });
    const title = texts[`tour_${text}_title`] || texts[`tour_${name}_title`];
    dialog.querySelector("h2").textContent = title;
    dialog.querySelector("#bw-tour-text").textContent = fill(texts[`tour_${text}`], values);
    find("-paper").hidden = !paper;
    find("-paper").lastElementChild.textContent = texts[`tour_${name}_paper`] || "";
    back.disabled = place === 0;
    next.textContent = place === stops.length - 1 ? texts.tour_end : texts.tour_next;
    point(root.querySelector(selector));
  }

  // Outline a part and bring it into the window's free share, above the dialog.
  function point(part) {
    target?.classList.remove("bw-toured");
    target = part;
    if (!part) return;
    part.classList.add("bw-toured");
    const covered = innerHeight - dialog.getBoundingClientRect().top;
    root.style.setProperty("--tour-room", `${Math.ceil(covered)}px`);
    const isTall = part.offsetHeight > innerHeight - covered - 32;
    part.scrollIntoView({
      behavior: motionIsReduced() ? "auto" : "smooth", block: isTall ? "start" : "center",
    });
  }

  function open() {
    dialog.hidden = false;
    root.classList.add("bw-touring");
    show(0);
    next.focus({ preventScroll: true });
    document.addEventListener("keydown", onKey, true);
  }

  function end() {
    if (dialog.hidden) return;
    const hadFocus = dialog.contains(document.activeElement);
    document.removeEventListener("keydown", onKey, true);
    dialog.hidden = true;
    root.classList.remove("bw-touring");
    point(null);
    if (hadFocus) start.focus({ preventScroll: true });
  }

  // Escape closes from anywhere; Tab stays in the dialog.
  function onKey(event) {
    if (event.key === "Escape") {
      event.preventDefault();
      end();
    } else if (event.key === "Tab") {
      event.preventDefault();
      moveFocus(event.shiftKey ? -1 : 1);
    }
  }

  function moveFocus(by) {
    const all = [...dialog.querySelectorAll("a, button:enabled")]
      .filter((node) => node.offsetParent);
    const now = all.indexOf(document.activeElement);
    all[now < 0 ? 0 : (now + by + all.length) % all.length].focus({ preventScroll: true });
  }

  start.addEventListener("click", open);
  close.addEventListener("click", end);
  next.addEventListener("click", () => (place < stops.length - 1 ? show(place + 1) : end()));
  back.addEventListener("click", () => {
    show(place - 1);
    if (back.disabled) next.focus({ preventScroll: true });
  });

  return {
    begin() {
      end();
      stops = [];
      find("-line").hidden = true;
    },
    done(row, state) {
      stops = state.settings ? plan(row, state) : [];
      find("-line").hidden = !stops.length;
    },
  };
}

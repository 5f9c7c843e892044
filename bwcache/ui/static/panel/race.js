// The bars of denoising time: one lane a run, one segment a step, all on one clock.

import { make } from "../lib/elements.js";
import { isComplete, isGoing, isReused } from "../lib/runs.js";
import { fill } from "../lib/texts.js";

const ROOM = 0.16; // share of a track that the saved seconds need to be written in it
const SHORTEST = 1e-6; // seconds: what a segment has at least
const MOST_TICKS = 7; // of the clock, its zero not counted
const TICK_WIDTH = 3; // times the size of its letters: what "12.5" takes, and a gap

// The seconds that a run will take, foreseen from its steps so far.
export function foreseen({ rows, s, steps }) {
  return rows.length ? (s / rows.length) * steps : 0;
}

// The clock's ticks in seconds: 0, 1, 2, … or 0, 0.5, 1, … up to `longest`, `most` and the zero.
export function ticks(longest, most = MOST_TICKS) {
  if (!(longest > SHORTEST)) return [];
  const least = longest / most;
  const power = 10 ** Math.floor(Math.log10(least));
  const step = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= least);
  return Array.from({ length: Math.floor(longest / step + 1e-9) + 1 }, (_, i) => i * step);
}

export function createRace({ root, texts, numbers, player, runName }) {
  const box = root.querySelector(".bw-race");
  const lanes = new Map(); // run → its lane
  let clock = null, shown = 0; // the longest run's seconds
  const inSeconds = (value) => fill(texts.seconds, { s: numbers.seconds(value) });

  function addLane(run) {
    const lane = make("div", "bw-lane");
    lane.dataset.run = run;
    const track = make("div", "bw-track");
    track.append(make("div", "bw-bar"));
    lane.append(make("span", "bw-lane-name", runName(run)), track, make("output"));
    box.insertBefore(lane, clock);
    lanes.set(run, lane);
    return lane;
  }

  // All share one scale: the longest run's time, foreseen while it is under way.
  function draw(state) {
    clock ??= addClock();
    const { baseline } = state.runs;
    const secondsOf = (run) => (run === baseline ? Math.max(foreseen(run), run.s) : run.s);
    const longest = Math.max(...Object.values(state.runs).map(secondsOf), SHORTEST);
    for (const [name, run] of Object.entries(state.runs)) drawLane(name, run, longest);
    shown = longest;
    drawClock();
    for (const [name, run] of Object.entries(state.runs)) {
      const isActive = isGoing(run) && root.dataset.phase === "running";
      player.stage(name)?.classList.toggle("active", isActive);
    }
  }

  function drawLane(name, run, longest) {
    const lane = lanes.get(name) || addLane(name);
    const bar = lane.querySelector(".bw-bar");
    for (let i = bar.children.length; i < run.rows.length; i += 1) {
      const segment = make("i", isReused(run.rows[i]) ? "bw-r" : "bw-c");
      const before = i ? run.rows[i - 1].s : 0;
      segment.style.flexGrow = Math.max(run.rows[i].s - before, SHORTEST);
      bar.append(segment);
    }
    bar.style.width = `${(100 * run.s) / longest}%`;
    lane.classList.toggle("remembered", Boolean(run.remembered));
    lane.classList.toggle("arrived", isComplete(run));
    const time = run.started ? inSeconds(run.s) : "";
    lane.lastChild.textContent = time;
    player.label(name, time, noteOf(run));
  }

  function addClock() {
    const line = make("div", "bw-lane bw-axis");
    line.setAttribute("aria-hidden", "true"); // each lane says its seconds
    line.append(make("span"), make("div", "bw-ticks"), make("span", "", texts.axis_seconds));
    box.append(line);
    new ResizeObserver(drawClock).observe(line); // a phone that is turned
    return line;
  }

  function drawClock() {
    const row = clock.querySelector(".bw-ticks");
    const width = TICK_WIDTH * parseFloat(getComputedStyle(row).fontSize);
    const room = Math.floor(row.clientWidth / width);
    const places = ticks(shown, Math.max(2, Math.min(room, MOST_TICKS)));
    const digits = places[1] < 1 ? -Math.floor(Math.log10(places[1])) : 0;
    row.replaceChildren(...places.map((second) => {
      const tick = make("span", "", numbers.fixed(second, digits));
      tick.style.left = `${(100 * second) / shown}%`;
      return tick;
    }));
  }

  function noteOf(run) {
    if (run.remembered) return texts.remembered;
    return run.started ? "" : texts.waiting;
  }

  // Writes the saved seconds into the cached run's track, where there is room.
  function showSaved(row) {
    const saved = row.baseline_seconds - row.cached_seconds;
    if (saved / row.baseline_seconds <= ROOM) return;
    const track = lanes.get("cached").querySelector(".bw-track");
    track.append(make("span", "bw-gap", `${inSeconds(saved)} ${texts.saved}`));
  }

  function reset() {
    lanes.clear();
    clock = null;
    box.replaceChildren();
  }

  return { draw, showSaved, reset };
}

// The bars of denoising time, on one clock: one lane a run, one segment a step.

import { make } from "../lib/elements.js";
import { isGoing, isReused } from "../lib/runs.js";
import { fill } from "../lib/texts.js";

const ROOM = 0.16; // share of a track that the saved seconds need to be written in it
const SHORTEST = 1e-6; // seconds: what a segment has at least

// The seconds that a run will take, foreseen from its steps so far.
export function foreseen({ rows, s, steps }) {
  return rows.length ? (s / rows.length) * steps : 0;
}

export function createRace({ root, texts, numbers, player, runName }) {
  const box = root.querySelector(".bw-race");
  const lanes = new Map(); // run → its lane
  const inSeconds = (value) => fill(texts.seconds, { s: numbers.seconds(value) });

  function addLane(run) {
    const lane = make("div", "bw-lane");
    lane.dataset.run = run;
    const track = make("div", "bw-track");
    track.append(make("div", "bw-bar"));
    lane.append(make("span", "bw-lane-name", runName(run)), track, make("output"));
    box.append(lane);
    lanes.set(run, lane);
    return lane;
  }

  // Bars share one scale: the longest run's time.
  function draw(state) {
    const { baseline } = state.runs;
    const secondsOf = (run) => (run === baseline ? foreseen(run) : run.s);
    const longest = Math.max(...Object.values(state.runs).map(secondsOf), SHORTEST);
    for (const [name, run] of Object.entries(state.runs)) drawLane(name, run, longest);
    for (const name of Object.keys(state.runs)) {
      const isActive = isGoing(state.runs[name]) && root.dataset.phase === "running";
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
    const time = run.started ? inSeconds(run.s) : "";
    lane.lastChild.textContent = time;
    player.label(name, time, noteOf(name, run));
  }

  function noteOf(name, run) {
    if (run.remembered) return texts.remembered;
    if (!run.started) return texts.waiting;
    return name === "control" ? texts.control_note : "";
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
    box.replaceChildren();
  }

  return { draw, showSaved, reset };
}

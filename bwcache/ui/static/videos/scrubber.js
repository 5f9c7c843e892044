// Back through the denoising: the rough pictures of all runs at one step, while they run and after.
// At its end stands what is newest, or the finished videos. It keeps this run's pictures alone.

import { fill } from "../lib/texts.js";

// The picture of a run at a step: the last one that was sent up to there.
export function pictureAt(pictures, step) {
  for (let i = Math.min(step, pictures.length - 1); i >= 0; i -= 1) {
    if (pictures[i]) return pictures[i];
  }
  return null;
}

export function createScrubber({ root, texts, player, lookAt }) {
  const find = (name) => root.querySelector(name);
  const [box, range, value] = [".bw-scrubber", ".bw-scrubber-step", ".bw-scrubber-value"].map(find);
  let pictures = {}; // run → its pictures by step
  let state = null;
  let newest = 0; // steps that the furthest run has made
  let held = null; // the step that is looked at; null: what is newest
  let wasPlaying = false;

  const isFinished = () => root.dataset.phase !== "running";

  function show() {
    const last = isFinished() ? state.steps : newest;
    range.max = state.steps;
    range.value = held === null ? last : held + 1;
    const words = held === null && isFinished() ? texts.scrubber_end : texts.scrubber_value;
    value.textContent = fill(words, { i: held === null ? last : held + 1, n: state.steps });
    range.setAttribute("aria-valuetext", value.textContent);
  }

  function hold(step) {
    if (held === null) wasPlaying = player.pause();
    held = step;
    root.dataset.scrubbed = "";
    for (const [run, all] of Object.entries(pictures)) {
      const picture = pictureAt(all, step);
      if (picture) player.preview(run, picture);
    }
    lookAt(step);
    show();
  }

  function release() {
    if (held === null) return;
    held = null;
    delete root.dataset.scrubbed;
    for (const [run, all] of Object.entries(pictures)) {
      const picture = pictureAt(all, Infinity);
      if (picture) player.preview(run, picture);
    }
    lookAt(null);
    if (wasPlaying) player.play();
    show();
  }

  range.addEventListener("input", () => {
    const step = Number(range.value);
    const last = isFinished() ? state.steps : newest;
    if (step >= last) release();
    else hold(step - 1);
    show();
  });
  // Whoever plays, seeks or takes another view wants the videos.
  const leave = () => {
    wasPlaying = false;
    release();
  };
  find(".bw-transport").addEventListener("click", leave, true);
  find(".bw-seek").addEventListener("input", leave, true);
  new MutationObserver(leave).observe(root, { attributeFilter: ["data-view"] });

  return {
    begin(next) {
      state = next;
      pictures = Object.fromEntries(Object.keys(next.runs).map((run) => [run, []]));
      newest = 0;
      held = null;
      delete root.dataset.scrubbed;
      box.hidden = true;
    },
    row(row) {
      if (row.k !== "step" || !pictures[row.run]) return;
      newest = Math.max(newest, row.i + 1);
      if (row.p) {
        pictures[row.run][row.i] = row.p;
        if (held === null) player.preview(row.run, row.p);
        box.hidden = false;
      }
      show();
    },
    done: show,
    relabel: () => state && show(),
  };
}

// The blind test: which of two nameless videos was cached? The score is this visit's alone.

import { make } from "../lib/elements.js";
import { fill } from "../lib/texts.js";

export function createBlindTest({ root, texts, player, runName }) {
  const find = (name) => root.querySelector(name);
  const [box, question, result] = [".bw-blind", ".bw-ask", ".bw-told"].map(find);
  const [answer, scoreLine, again] = [".bw-answer", ".bw-score", ".bw-again"].map(find);
  const score = { right: 0, guesses: 0, unsure: 0 };
  let sides = {}; // "left" and "right" → the run that stands there

  // `alike`: whether the two videos are identical in every pixel.
  function open(alike) {
    box.hidden = false;
    if (alike) {
      answer.textContent = texts.blind_alike;
      scoreLine.textContent = "";
      show("alike");
    } else shuffleSides();
  }

  // A new order: the stages change places, and are called "Left" and "Right" until the vote.
  function shuffleSides() {
    const runs = ["baseline", "cached"];
    if (Math.random() < 0.5) runs.reverse();
    sides = { left: runs[0], right: runs[1] };
    for (const [side, run] of Object.entries(sides)) nameBySide(side, run);
    show("voting");
  }

  function nameBySide(side, run) {
    const stage = player.stage(run);
    stage.style.order = side === "left" ? 0 : 1;
    let label = stage.querySelector(".bw-side");
    if (!label) {
      label = make("span", "bw-side");
      stage.querySelector("figcaption").prepend(label);
    }
    label.textContent = texts[side];
    stage.querySelector("video")?.setAttribute("aria-label", texts[`${side}_video`]);
  }

  function show(state) {
    root.dataset.blind = state;
    question.hidden = state !== "voting";
    result.hidden = state === "voting";
    again.hidden = state === "alike";
  }

  // `side`: "left", "right" or, where no difference is seen, "none".
  function vote(side) {
    const isRight = sides[side] === "cached";
    const truth = sides.left === "cached" ? texts.blind_was_left : texts.blind_was_right;
    const parts = [fill(truth, { name: runName("cached") })];
    if (side === "none") score.unsure += 1;
    else {
      score.guesses += 1;
      score.right += isRight ? 1 : 0;
      parts.unshift(isRight ? texts.blind_right_answer : texts.blind_wrong_answer);
    }
    answer.textContent = parts.join(" ");
    scoreLine.textContent = fill(scoreText(), { ...score, n: score.guesses });
    nameByRun();
    show("told");
    again.focus({ preventScroll: true });
  }

  function scoreText() {
    if (!score.guesses) return texts.blind_unsure;
    return score.unsure ? texts.blind_score_unsure : texts.blind_score;
  }

  function nameByRun() {
    for (const run of Object.values(sides)) {
      const video = player.stage(run)?.querySelector("video");
      video?.setAttribute("aria-label", fill(texts.video_alt, { run: runName(run) }));
    }
  }

  function close() {
    box.hidden = true;
    delete root.dataset.blind;
    nameByRun();
    for (const run of Object.values(sides)) player.stage(run)?.style.removeProperty("order");
    sides = {};
  }

  for (const button of box.querySelectorAll("[data-vote]")) {
    button.addEventListener("click", () => vote(button.dataset.vote));
  }
  again.addEventListener("click", () => {
    shuffleSides();
    box.querySelector("[data-vote]").focus({ preventScroll: true });
  });
  return { open, close };
}

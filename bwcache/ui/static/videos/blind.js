// The blind test: which of two nameless videos was cached? The score is this visit's alone.

function createBlind({ root, T, player }) {
  const at = (name) => root.querySelector(name);
  const [box, ask, told] = [".bw-blind", ".bw-ask", ".bw-told"].map(at);
  const score = { right: 0, guesses: 0, unsure: 0 };
  let sides = {}; // "left" and "right" → the run that stands there

  function open(alike) {
    box.hidden = false;
    if (alike) {
      at(".bw-answer").textContent = T.blind_alike;
      at(".bw-score").textContent = "";
      show("alike");
    } else deal();
  }

  // A new order: the stages change places, and are called "Left" and "Right" until the vote.
  function deal() {
    const runs = ["baseline", "cached"];
    if (Math.random() < 0.5) runs.reverse();
    sides = { left: runs[0], right: runs[1] };
    for (const [side, run] of Object.entries(sides)) name(side, run);
    show("voting");
  }

  function name(side, run) {
    const stage = player.stage(run);
    stage.style.order = side === "left" ? 0 : 1;
    let label = stage.querySelector(".bw-side");
    if (!label) {
      label = make("span", "bw-side");
      stage.querySelector("figcaption").prepend(label);
    }
    label.textContent = T[side];
    stage.querySelector("video")?.setAttribute("aria-label", T[`${side}_video`]);
  }

  function show(state) {
    root.dataset.blind = state;
    ask.hidden = state !== "voting";
    told.hidden = state === "voting";
    at(".bw-again").hidden = state === "alike";
  }

  function vote(side) {
    const right = sides[side] === "cached";
    const where = fill(sides.left === "cached" ? T.blind_was_left : T.blind_was_right, { name: T.cached });
    if (side === "none") score.unsure += 1;
    else {
      score.guesses += 1;
      score.right += right ? 1 : 0;
    }
    at(".bw-answer").textContent = side === "none" ? where : `${right ? T.blind_right_answer : T.blind_wrong_answer} ${where}`;
    const text = !score.guesses ? T.blind_unsure : score.unsure ? T.blind_score_unsure : T.blind_score;
    at(".bw-score").textContent = fill(text, { ...score, n: score.guesses });
    reveal();
    show("told");
    at(".bw-again").focus({ preventScroll: true });
  }

  function reveal() {
    for (const run of Object.values(sides)) {
      player.stage(run)?.querySelector("video")?.setAttribute("aria-label", fill(T.video_alt, { run: T[run] }));
    }
  }

  function close() {
    box.hidden = true;
    delete root.dataset.blind;
    reveal();
    for (const run of Object.values(sides)) player.stage(run)?.style.removeProperty("order");
    sides = {};
  }

  for (const button of box.querySelectorAll("[data-vote]")) {
    button.addEventListener("click", () => vote(button.dataset.vote));
  }
  at(".bw-again").addEventListener("click", () => {
    deal();
    box.querySelector("[data-vote]").focus({ preventScroll: true });
  });
  return { open, close };
}

// What each step did, as a row of letters for each run: C computed, r reused.

import { translated } from "../lib/phrases.js";
import { make } from "../lib/elements.js";
import { COMPARED, isReused } from "../lib/runs.js";
import { fill } from "../lib/texts.js";

const DENSE = 9; // pixels a step: with less room there are no letters

export function createStepLetters({ root, texts, runName }) {
  const box = root.querySelector(".bw-strips");

  function addLine() {
    const line = make("div", "bw-strip");
    line.append(make("span", "bw-strip-name"), make("div", "bw-cells"));
    box.append(line);
    return line;
  }

  function cell(run, row) {
    const made = make("span", isReused(row) ? "bw-r" : "bw-c", row.a);
    const action = isReused(row) ? texts.reused_word : texts.computed_word;
    const values = { run: runName(run), i: row.i + 1, action, why: translated(row.w || "", texts) };
    made.title = fill(texts.step_title, values);
    return made;
  }

  function draw(state) {
    const runs = COMPARED.concat(state.runs.control ? ["control"] : []);
    while (box.children.length > runs.length) box.lastChild.remove();
    runs.forEach((run, i) => {
      const line = box.children[i] || addLine();
      const [name, cells] = line.children;
      const { steps, rows } = state.runs[run];
      line.dataset.run = run;
      name.textContent = runName(run);
      cells.style.setProperty("--steps", Math.max(state.steps, steps));
      while (cells.children.length > rows.length) cells.lastChild.remove();
      for (const row of rows.slice(cells.children.length)) cells.append(cell(run, row));
      cells.classList.toggle("dense", cells.clientWidth / state.steps < DENSE);
    });
  }

  return { draw, reset: () => box.replaceChildren() };
}

// A ruler for "different": where the cached video lies between things that everybody knows, in
// words first. The marks are the model's; see `bwcache/runs/ruler.py`.

import { make } from "../lib/elements.js";
import { fill } from "../lib/texts.js";

const far = (psnr) => (psnr === null ? Infinity : psnr);

// The marks and this video, from far to near; of equals this video comes last.
export function inOrder({ marks, psnr, vmaf }) {
  const all = marks.map(([name, ...numbers]) => ({ name, psnr: numbers[0], vmaf: numbers[1] }));
  all.push({ name: "this", psnr, vmaf });
  return all.sort((one, other) => (
    far(one.psnr) === far(other.psnr) ? 0 : far(one.psnr) - far(other.psnr)
  ));
}

export function createRuler({ root, texts, numbers, runName }) {
  const card = root.querySelector(".bw-ruler");
  const find = (name) => card.querySelector(name);
  const [words, list, note] = [".bw-ruler-words", "ol", ".bw-ruler-note"].map(find);
  let shown = null;

  function makeMark({ name, psnr, vmaf }) {
    const line = make("li", name === "this" ? "bw-ruler-this" : "");
    const score = typeof vmaf === "number" ? ` · ${texts.vmaf} ${numbers.fixed(vmaf, 0)}` : "";
    line.append(
      make("i"),
      make("b", "", name === "this" ? runName("cached") : texts[`ruler_mark_${name}`]),
      make("small", "", `${numbers.decibels(psnr)}${score}`),
    );
    return line;
  }

  function draw() {
    words.textContent = texts[`ruler_${shown.place}`];
    list.replaceChildren(...inOrder(shown).map(makeMark));
    note.textContent = fill(texts.ruler_note, shown);
  }

  return {
    begin() {
      shown = null;
      card.hidden = true;
    },
    row(row) {
      if (row.k === "ruler") shown = row;
    },
    done() {
      card.hidden = !shown;
      if (shown) draw();
    },
  };
}

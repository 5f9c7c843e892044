// What the sections beside the live panel share: a job's rows as they come, and its videos' frames.

import { fill } from "../lib/texts.js";

// Takes the rows that are new; a list with another job's beginning starts anew.
// `onRow[kind](row)` shows one, `idOf()` tells which job is on show, `after(rows)` comes last.
export function followRows({ props, watch, onRow, idOf, after }) {
  let rows = []; // the list that is shown
  let taken = 0; // how many of its rows have been taken

  function feed(next) {
    const [first] = next;
    if (!first) return;
    if (first.k === "begin") {
      if (first.id !== idOf()) taken = 0;
      rows = next;
      for (; taken < rows.length; taken += 1) onRow[rows[taken].k]?.(rows[taken]);
    } else { // a message on its own: about a job that has not begun, or was cancelled
      onRow[first.k]?.(first);
    }
    after(next);
  }

  const readValue = () => feed(Array.isArray(props.value) ? props.value : []);
  watch("value", readValue);
  return {
    start: readValue,
    again() { // all that is shown is shown once more, as in another language
      taken = 0;
      feed(rows);
    },
  };
}

// Six frames of a run's video, as a WebP in base64; nothing where there are none.
export function showStrip(root, run, data, texts, name = texts[`strip_${run}`]) {
  const figure = root.querySelector(`figure[data-run=${run}]`);
  const [picture, caption] = figure.children;
  figure.hidden = !data;
  if (!data) return;
  picture.src = `data:image/webp;base64,${data}`;
  picture.alt = fill(texts.strip_alt, { run: name });
  caption.textContent = name;
}

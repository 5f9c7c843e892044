// What the sections beside the live panel share: a job's rows as they come, its progress, its
// table of results, and the one of them that is looked at.

import { make, motionIsReduced } from "../lib/elements.js";
import { createNumbers } from "../lib/numbers.js";
import { serverRoot } from "../lib/server.js";
import { fill, liveTexts, localise } from "../lib/texts.js";
import { clear as clearRefusal, showRefusal } from "../page/refusal.js";

// Takes the rows that are new; a list with another job's beginning starts anew.
// `onRow[kind](row)` shows one, `idOf()` tells which job is on show, `after(rows)` comes last.
function followRows({ props, watch, onRow, idOf, after }) {
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
function showStrip(root, run, data, texts, name = texts[`strip_${run}`]) {
  const figure = root.querySelector(`figure[data-run=${run}]`);
  const [picture, caption] = figure.children;
  figure.hidden = !data;
  if (!data) return;
  picture.src = `data:image/webp;base64,${data}`;
  picture.alt = fill(texts.strip_alt, { run: name });
  caption.textContent = name;
}

// The texts of a result's PSNR and SSIM.
export function qualityCells({ psnr, ssim }, texts, numbers) {
  return [
    psnr === null ? texts.identical : numbers.fixed(psnr, 1),
    ssim === null ? "" : numbers.fixed(ssim, 3),
  ];
}

// Brings a section to life. `element`, `props` and `watch` are what Gradio hands to a component's
// script; `createOwn({ root, find, texts, numbers, plotlyUrl, lookAt, getState })` gives what is
// the section's own:
//   chart        drawn with `draw(state)` as results come
//   clear()      empties its own parts when a job begins
//   nameOf(result), buttonOf(result): { text, label }, cells(result): texts of a line of the table
//   running(now, share): the status while a run is under way
//   look(result), stripName(result): where it shows more of one, or calls its video otherwise
//   rows         more to do with a row, by kind
export function startJob({ element, props, watch, selector, createOwn }) {
  let state = null;
  const root = element.querySelector(selector);
  const texts = liveTexts(props.texts, onLanguageChange);
  localise(root, texts);
  const numbers = createNumbers(texts);
  const find = (name) => root.querySelector(name);
  const [bar, status, body] = ["progress", ".bwf-status", "tbody"].map(find);
  const plotlyUrl = serverRoot() + props.plotly;
  const own = createOwn({
    root, find, texts, numbers, plotlyUrl, lookAt, getState: () => state,
  });

  const common = {
    begin(row) {
      state = { ...row, results: [], now: null, most: 1, n: 0, strip: null };
      root.dataset.state = "running";
      clearRefusal();
      body.replaceChildren();
      find(".bwf-sentence").textContent = "";
      own.clear();
      status.textContent = texts.preparing;
      bar.value = 0;
      lookAt(null);
      element.scrollIntoView({
        behavior: motionIsReduced() ? "auto" : "smooth", block: "nearest",
      });
    },
    uncached: (row) => { state.now = { ...row, i: 0 }; },
    known: (row) => Object.assign(state, { most: row.most, n: row.n, strip: row.p }),
    try(row) {
      state.now = { ...row, n: state.n };
      showProgress(0);
    },
    at: (row) => showProgress(row.i),
    result(row) {
      state.results.push(row);
      body.append(makeLine(row));
      lookAt(row);
    },
    done(row) {
      state.now = null;
      root.dataset.state = row.ok === false ? "missed" : "met";
      find(".bwf-sentence").textContent = row.text;
    },
    waiting: (row) => halt("running", row.text),
    stopped: (row) => halt("stopped", row.text),
    error: (row) => halt("error", row.text),
    refused: showRefusal,
  };
  const kinds = new Set([...Object.keys(common), ...Object.keys(own.rows)]);
  const onRow = Object.fromEntries([...kinds].map((kind) => [kind, (row) => {
    common[kind]?.(row);
    own.rows[kind]?.(row);
  }]));

  function halt(next, text) {
    if (state) state.now = null; // what a stopped job still says is not shown
    root.dataset.state = next;
    status.textContent = text;
  }

  function showProgress(i) {
    const { now, most } = state;
    if (!now) return;
    const share = Math.min(i / now.n, 1);
    bar.value = (now.i + share) / (most + 1);
    status.textContent = now.k === "uncached"
      ? fill(texts.uncached, { i, n: now.n }) : own.running(now, share);
  }

  function mark(className, result) {
    for (const line of body.children) {
      line.classList.toggle(className, Number(line.dataset.i) === result?.i);
    }
  }

  function lookAt(result) {
    find(".bwf-detail-title").textContent = result ? own.nameOf(result) : texts.detail_idle;
    showStrip(root, "uncached", result && state.strip, texts);
    showStrip(root, "cached", result && result.p, texts, result ? own.stripName?.(result) : "");
    own.look?.(result);
    mark("seen", result);
  }

  function makeLine(result) {
    const line = make("tr");
    line.dataset.i = result.i;
    const { text, label } = own.buttonOf(result);
    const [first, button] = [make("th"), make("button", "", text)];
    first.scope = "row";
    button.type = "button";
    if (label) button.setAttribute("aria-label", label);
    first.append(button);
    line.append(first, ...own.cells(result).map((cell) => make("td", "", cell)));
    for (const event of ["mouseenter", "click"]) line.addEventListener(event, () => lookAt(result));
    button.addEventListener("focus", () => lookAt(result));
    return line;
  }

  find(".bwf-close").addEventListener("click", () => { root.dataset.state = "idle"; });

  const following = followRows({
    props, watch, onRow, idOf: () => state?.id,
    after(next) {
      if (!state?.results.length || next.at(-1).k === "at") return;
      mark("best", state.best);
      own.chart.draw(state);
    },
  });

  function onLanguageChange() {
    localise(root, texts);
    following.again();
  }

  following.start();
}

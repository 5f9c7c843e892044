// "Find my threshold": takes the rows of `finder.py` as they come, and shows progress, trials and
// outcome.

import { make, motionIsReduced } from "../lib/elements.js";
import { createNumbers } from "../lib/numbers.js";
import { serverRoot } from "../lib/server.js";
import { fill, liveTexts, localise } from "../lib/texts.js";
import { clear as clearRefusal, showRefusal } from "../page/refusal.js";
import { followRows, showStrip } from "./job.js";
import { createTrialsChart } from "./trials_chart.js";

// `element`, `props`, `watch` and `trigger` are what Gradio hands to a component's script.
export function start({ element, props, watch, trigger }) {
  let state = null;
  const root = element.querySelector(".bw-finder");
  const texts = liveTexts(props.texts, onLanguageChange);
  localise(root, texts);
  const numbers = createNumbers(texts);
  const find = (name) => root.querySelector(name);
  const [bar, status, body] = ["progress", ".bwf-status", "tbody"].map(find);
  const chart = createTrialsChart({
    root, texts, numbers, plotlyUrl: serverRoot() + props.plotly, nameOf, lookAt,
  });

  const computedIn = (trial) => [...trial.w].filter((letter) => letter === "C").length;
  const settingsOf = (row) => ({ threshold: numbers.significant(row.t, 6), interval: row.r });

  function nameOf(trial) {
    return fill(texts.detail, { i: trial.i, ...settingsOf(trial) });
  }

  // The trial of the recommended setting.
  function recommended() {
    const { best, trials } = state;
    return best ? trials.find((trial) => trial.t === best.t && trial.r === best.r) : undefined;
  }

  const onRow = {
    begin(row) {
      state = {
        ...row, trials: [], now: null, most: 1, n: 0, done: 0, best: null, strip: null,
      };
      root.dataset.state = "running";
      clearRefusal();
      body.replaceChildren();
      for (const name of [".bwf-sentence", ".bwf-used", ".bwf-choice"]) find(name).textContent = "";
      find(".bwf-use-line").hidden = true;
      status.textContent = texts.preparing;
      bar.value = 0;
      lookAt(null);
      element.scrollIntoView({
        behavior: motionIsReduced() ? "auto" : "smooth", block: "nearest",
      });
    },
    uncached: (row) => { state.now = { ...row, k: "uncached" }; },
    known(row) {
      Object.assign(state, { most: row.most, n: row.n, strip: row.p, done: 1 });
      const choice = fill(texts.choice, row);
      find(".bwf-choice").textContent = row.remembered ? `${texts.remembered} ${choice}` : choice;
    },
    try(row) {
      state.now = { ...row, n: state.n };
      showProgress(0);
    },
    at: (row) => showProgress(row.i),
    trial(row) {
      state.trials.push(row);
      state.done = 1 + row.i;
      body.append(makeLine(row));
      lookAt(row);
    },
    done(row) {
      Object.assign(state, { now: null, best: row.t === undefined ? null : row });
      root.dataset.state = row.ok ? "met" : "missed";
      find(".bwf-sentence").textContent = row.text;
      find(".bwf-use-line").hidden = !state.best;
      const chosen = recommended();
      for (const line of body.children) {
        line.classList.toggle("best", Number(line.dataset.i) === chosen?.i);
      }
      if (chosen) lookAt(chosen);
    },
    waiting: (row) => halt("running", row.text),
    stopped: (row) => halt("stopped", row.text),
    error: (row) => halt("error", row.text),
    refused: showRefusal,
  };

  function halt(next, text) {
    if (state) state.now = null; // what a stopped search still says is not shown
    root.dataset.state = next;
    status.textContent = text;
  }

  function showProgress(i) {
    const { now, most } = state;
    if (!now) return;
    const share = Math.min(i / now.n, 1);
    const isUncached = now.k === "uncached";
    bar.value = (isUncached ? share : now.i + share) / (most + 1);
    if (isUncached) {
      status.textContent = fill(texts.uncached, { i, n: now.n });
      return;
    }
    const left = Math.max(1, Math.round(now.left - share * now.s));
    const trial = fill(texts.trial, { i: now.i, most, ...settingsOf(now) });
    status.textContent = `${trial} · ${fill(texts.left, { s: left })}`;
  }

  // --- one trial, looked at --------------------------------------------------------------------
  function lookAt(trial) {
    find(".bwf-detail-title").textContent = trial ? nameOf(trial) : texts.detail_idle;
    showStrip(root, "uncached", trial && state.strip, texts);
    showStrip(root, "cached", trial && trial.p, texts);
    find(".bwf-numbers").textContent = trial ? numbersOf(trial) : "";
    const letters = [...(trial ? trial.w : "")];
    find(".bwf-schedule").replaceChildren(
      ...letters.map((letter) => make("i", letter === "r" ? "bwf-r" : "", letter)),
    );
    for (const line of body.children) {
      line.classList.toggle("seen", Number(line.dataset.i) === trial?.i);
    }
  }

  function numbersOf(trial) {
    return fill(texts.numbers, {
      x: numbers.fixed(trial.x, 2),
      clock: numbers.fixed(trial.clock, 2),
      psnr: numbers.decibels(trial.psnr),
      ssim: numbers.fixed(trial.ssim, 3),
      c: computedIn(trial),
      n: trial.w.length,
    });
  }

  function makeLine(trial) {
    const line = make("tr");
    line.dataset.i = trial.i;
    const [first, button] = [make("th"), make("button", "", String(trial.i))];
    first.scope = "row";
    button.type = "button";
    button.setAttribute("aria-label", fill(texts.look, { i: trial.i }));
    first.append(button);
    const { threshold, interval } = settingsOf(trial);
    const cells = [
      threshold,
      interval,
      `${numbers.fixed(trial.x, 2)}×`,
      `${numbers.fixed(trial.clock, 2)}×`,
      trial.psnr === null ? texts.identical : numbers.fixed(trial.psnr, 1),
      numbers.fixed(trial.ssim, 3),
      fill(texts.steps, { c: computedIn(trial), n: trial.w.length }),
      trial.ok ? texts.yes : texts.no,
    ];
    line.append(first, ...cells.map((text) => make("td", "", text)));
    line.classList.toggle("ok", trial.ok);
    for (const event of ["mouseenter", "click"]) line.addEventListener(event, () => lookAt(trial));
    button.addEventListener("focus", () => lookAt(trial));
    return line;
  }

  find(".bwf-use").addEventListener("click", () => {
    const { t, r } = state.best;
    trigger("submit", { threshold: t, interval: r, gate: state.gate, model: state.model });
    find(".bwf-used").textContent = texts.used;
  });

  find(".bwf-close").addEventListener("click", () => { root.dataset.state = "idle"; });

  const following = followRows({
    props, watch, onRow, idOf: () => state?.id,
    after(next) {
      if (state?.trials.length && next.at(-1).k !== "at") chart.draw(state, recommended());
    },
  });

  function onLanguageChange() {
    localise(root, texts);
    following.again();
  }

  following.start();
}

// "Find my threshold": shows the rows of `finder.py`. What jobs share is in `job.js`.

import { make } from "../lib/elements.js";
import { fill } from "../lib/texts.js";
import { qualityCells, startJob } from "./job.js";
import { createTrialsChart } from "./trials_chart.js";

const computedIn = (trial) => [...trial.w].filter((letter) => letter === "C").length;

// `trigger` is what Gradio hands to a component's script, beside what `startJob` takes.
export function start({ element, props, watch, trigger }) {
  startJob({ element, props, watch, selector: ".bw-finder", createOwn });

  function createOwn({ root, find, texts, numbers, plotlyUrl, lookAt, getState }) {
    const settingsOf = (row) => ({ threshold: numbers.significant(row.t, 6), interval: row.r });
    const nameOf = (trial) => fill(texts.detail, { i: trial.i, ...settingsOf(trial) });
    const stepsOf = (trial) => ({ c: computedIn(trial), n: trial.w.length });
    const chart = createTrialsChart({ root, texts, numbers, plotlyUrl, nameOf, lookAt });

    find(".bwf-use").addEventListener("click", () => {
      const { found, gate, model } = getState();
      trigger("submit", { threshold: found.t, interval: found.r, gate, model });
      find(".bwf-used").textContent = texts.used;
    });

    function numbersOf(trial) {
      return fill(texts.numbers, {
        x: numbers.fixed(trial.x, 2),
        clock: numbers.fixed(trial.clock, 2),
        psnr: numbers.decibels(trial.psnr),
        ssim: numbers.fixed(trial.ssim, 3),
        ...stepsOf(trial),
      });
    }

    return {
      chart,
      nameOf,
      clear() {
        for (const name of [".bwf-used", ".bwf-choice"]) find(name).textContent = "";
        find(".bwf-use-line").hidden = true;
      },
      running(now, share) {
        const left = Math.max(1, Math.round(now.left - share * now.s));
        const trial = fill(texts.trial, { i: now.i, most: getState().most, ...settingsOf(now) });
        return `${trial} · ${fill(texts.left, { s: left })}`;
      },
      look(trial) {
        find(".bwf-numbers").textContent = trial ? numbersOf(trial) : "";
        const letters = [...(trial ? trial.w : "")];
        find(".bwf-schedule").replaceChildren(
          ...letters.map((letter) => make("i", letter === "r" ? "bwf-r" : "", letter)),
        );
      },
      buttonOf: ({ i }) => ({ text: String(i), label: fill(texts.look, { i }) }),
      cells(trial) {
        const { threshold, interval } = settingsOf(trial);
        return [
          threshold,
          interval,
          `${numbers.fixed(trial.x, 2)}×`,
          `${numbers.fixed(trial.clock, 2)}×`,
          ...qualityCells(trial, texts, numbers),
          fill(texts.steps, stepsOf(trial)),
          trial.ok ? texts.yes : texts.no,
        ];
      },
      rows: {
        known(row) {
          const choice = fill(texts.choice, row);
          find(".bwf-choice").textContent = row.remembered
            ? `${texts.remembered} ${choice}` : choice;
        },
        done(row) {
          const state = getState();
          state.found = row.t === undefined ? null : row;
          find(".bwf-use-line").hidden = !state.found;
          // the trial of the recommended setting
          state.best = state.results.find(({ t, r }) => t === row.t && r === row.r);
          if (state.best) lookAt(state.best);
        },
      },
    };
  }
}

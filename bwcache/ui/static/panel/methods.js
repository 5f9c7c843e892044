// "Compare the methods": shows the rows of `methods_compared.py`. What jobs share is in `job.js`.

import { make } from "../lib/elements.js";
import { fill } from "../lib/texts.js";
import { qualityCells, startJob } from "./job.js";
import { createMethodsChart } from "./methods_chart.js";

export function start({ element, props, watch }) {
  startJob({ element, props, watch, selector: ".bw-methods", createOwn });
}

function createOwn({ root, find, texts, numbers, plotlyUrl, lookAt, getState }) {
  const valueOf = ({ v }) => (
    Number.isFinite(Number.parseFloat(v)) ? numbers.significant(Number(v), 3) : v
  );

  function titleOf(name) {
    const [kind, variant] = name.split("/");
    return kind === "uncached"
      ? texts[`family_${variant}`] : getState().f.find(({ n }) => n === name).t;
  }

  return {
    chart: createMethodsChart({ root, texts, numbers, plotlyUrl, titleOf, lookAt }),
    clear: () => find(".bwm-out").replaceChildren(),
    nameOf: (point) => `${titleOf(point.f)} ${valueOf(point)}`.trim(),
    stripName: (point) => titleOf(point.f),
    running: (now) => fill(texts.run, {
      i: now.i, most: getState().most, method: titleOf(now.f), value: valueOf(now),
    }),
    buttonOf: (point) => ({ text: titleOf(point.f) }),
    cells: (point) => [
      valueOf(point),
      `${numbers.fixed(point.x, 2)}×`,
      fill(texts.percent, { p: numbers.fixed(100 * point.c, 0) }),
      ...qualityCells(point, texts, numbers),
    ],
    rows: {
      out(row) {
        const why = fill(texts.left_out, { method: titleOf(row.f), why: row.why });
        find(".bwm-out").append(make("li", "", why));
      },
    },
  };
}

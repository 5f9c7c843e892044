// "Compare the methods": takes the rows of `methods_compared.py` as they come, and shows progress,
// points and outcome.

import { make, motionIsReduced } from "../lib/elements.js";
import { createNumbers } from "../lib/numbers.js";
import { serverRoot } from "../lib/server.js";
import { fill, liveTexts, localise } from "../lib/texts.js";
import { clear as clearRefusal, showRefusal } from "../page/refusal.js";
import { followRows, showStrip } from "./job.js";
import { createMethodsChart } from "./methods_chart.js";

// `element`, `props` and `watch` are what Gradio hands to a component's script.
export function start({ element, props, watch }) {
  let state = null;
  const root = element.querySelector(".bw-methods");
  const texts = liveTexts(props.texts, onLanguageChange);
  localise(root, texts);
  const numbers = createNumbers(texts);
  const find = (name) => root.querySelector(name);
  const [bar, status, body] = ["progress", ".bwf-status", "tbody"].map(find);
  const chart = createMethodsChart({
    root, texts, numbers, plotlyUrl: serverRoot() + props.plotly, titleOf, lookAt,
  });

  function titleOf(name) {
    const [kind, variant] = name.split("/");
    return kind === "uncached"
      ? texts[`family_${variant}`] : state.f.find(({ n }) => n === name).t;
  }

  const onRow = {
    begin(row) {
      state = { ...row, points: [], now: null, most: 1, n: 0, strip: null };
      root.dataset.state = "running";
      clearRefusal();
      body.replaceChildren();
      find(".bwm-out").replaceChildren();
      find(".bwf-sentence").textContent = "";
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
    point(row) {
      state.points.push(row);
      body.append(makeLine(row));
      lookAt(row);
    },
    out(row) {
      const why = fill(texts.left_out, { method: titleOf(row.f), why: row.why });
      find(".bwm-out").append(make("li", "", why));
    },
    done(row) {
      state.now = null;
      root.dataset.state = "met";
      find(".bwf-sentence").textContent = row.text;
    },
    waiting: (row) => halt("running", row.text),
    stopped: (row) => halt("stopped", row.text),
    error: (row) => halt("error", row.text),
    refused: showRefusal,
  };

  function halt(next, text) {
    if (state) state.now = null; // what a stopped job still says is not shown
    root.dataset.state = next;
    status.textContent = text;
  }

  function showProgress(i) {
    const { now, most } = state;
    if (!now) return;
    bar.value = (now.i + Math.min(i / now.n, 1)) / (most + 1);
    status.textContent = now.f
      ? fill(texts.run, { i: now.i, most, method: titleOf(now.f), value: valueOf(now) })
      : fill(texts.uncached, { i, n: now.n });
  }

  const valueOf = ({ v }) => (
    Number.isFinite(Number.parseFloat(v)) ? numbers.significant(Number(v), 3) : v
  );

  // --- one point, looked at --------------------------------------------------------------------
  function lookAt(point) {
    const name = point && titleOf(point.f);
    find(".bwf-detail-title").textContent = point
      ? `${name} ${valueOf(point)}`.trim() : texts.detail_idle;
    showStrip(root, "uncached", point && state.strip, texts);
    showStrip(root, "cached", point && point.p, texts, name ?? "");
    for (const line of body.children) {
      line.classList.toggle("seen", Number(line.dataset.i) === point?.i);
    }
  }

  function makeLine(point) {
    const line = make("tr");
    line.dataset.i = point.i;
    const [first, button] = [make("th"), make("button", "bwm-look", titleOf(point.f))];
    first.scope = "row";
    button.type = "button";
    first.append(button);
    const cells = [
      valueOf(point),
      `${numbers.fixed(point.x, 2)}×`,
      fill(texts.percent, { p: numbers.fixed(100 * point.c, 0) }),
      point.psnr === null ? texts.identical : numbers.fixed(point.psnr, 1),
      point.ssim === null ? "" : numbers.fixed(point.ssim, 3),
    ];
    line.append(first, ...cells.map((text) => make("td", "", text)));
    for (const event of ["mouseenter", "click"]) line.addEventListener(event, () => lookAt(point));
    button.addEventListener("focus", () => lookAt(point));
    return line;
  }

  find(".bwf-close").addEventListener("click", () => { root.dataset.state = "idle"; });

  const following = followRows({
    props, watch, onRow, idOf: () => state?.id,
    after(next) {
      if (state?.points.length && next.at(-1).k !== "at") chart.draw(state);
    },
  });

  function onLanguageChange() {
    localise(root, texts);
    following.again();
  }

  following.start();
}

// The visit's own finished runs: shown again at a click, two of them beside each other. Everything
// is in the browser, in this tab, until it is closed; after a reload, what the server still has.

import { make } from "../lib/elements.js";
import { settingOf } from "../lib/runs.js";
import { fill } from "../lib/texts.js";
import { headline } from "../panel/result.js";
import { createKeptRuns, tabStorage } from "./kept_runs.js";
import { differences, settingsOf } from "./shown_settings.js";

const MOST = 12; // runs: each keeps its rows

// How fast a run was, as the verdict has it: roughly, where the machine was busy.
export function speedOf(rows, panel) {
  return headline(rows.at(-1), rows.find((row) => row.k === "speed") ?? null, panel).figure;
}

// What two runs have in common is left out: the rows of a table, each [name, one, other].
export function comparison(one, other, { texts, numbers }) {
  const [a, b] = [one, other].map(({ rows }) => settingsOf(rows[0]));
  const plain = (value) => (typeof value === "number" ? numbers.significant(value, 6) : value);
  const settings = differences(a, b).map((name) => (
    [texts[`name_${name}`], plain(a[name]), plain(b[name])]
  ));
  const results = [
    [texts.reused, (row) => numbers.significant(row.steps_reused)],
    [texts.psnr, (row) => numbers.decibels(row.psnr_db)],
    [texts.ssim, (row) => numbers.fixed(row.ssim, 3)],
  ].map(([name, say]) => [name, say(one.rows.at(-1)), say(other.rows.at(-1))]);
  const speeds = [one, other].map(({ rows }) => speedOf(rows, { texts, numbers }));
  return [...settings, [texts.speedup, ...speeds], ...results];
}

export function createHistory({ root, texts, numbers, base, feed }) {
  const box = root.querySelector(".bw-history");
  const kept = createKeptRuns(tabStorage());
  const runs = []; // {id, rows}, newest first
  let chosen = []; // at most two ids
  let now = null; // the run that is under way

  const labelOf = ({ rows }) => {
    const { settings, steps, method } = rows[0];
    return fill(texts.history_run, {
      prompt: settings.prompt,
      setting: settingOf(settings.threshold, method, { texts, numbers }),
      steps,
      speedup: speedOf(rows, { texts, numbers }),
    });
  };

  function entry(run) {
    const line = make("li");
    const show = make("button", "", labelOf(run));
    const pick = make("input");
    const label = make("label");
    Object.assign(pick, { type: "checkbox", checked: chosen.includes(run.id) });
    show.type = "button";
    show.addEventListener("click", () => feed([...run.rows]));
    pick.addEventListener("change", () => {
      chosen = pick.checked ? [...chosen, run.id].slice(-2) : chosen.filter((id) => id !== run.id);
      draw();
    });
    label.append(pick, ` ${texts.history_compare}`);
    line.append(show, label);
    return line;
  }

  const addressOf = ({ rows }) => (
    base + rows.find((row) => row.k === "video" && row.run === "cached").url
  );

  function videoOf(run) {
    const video = make("video");
    const looks = { muted: true, loop: true, controls: true, playsInline: true };
    Object.assign(video, { src: addressOf(run), ...looks });
    return video;
  }

  // Of those of before a reload the ones whose videos the server has not deleted meanwhile.
  async function restore() {
    const answers = await Promise.allSettled(kept.load().map(async (run) => {
      const { ok } = await fetch(addressOf(run), { method: "HEAD" });
      return ok ? run : null;
    }));
    const found = answers.map(({ value }) => value).filter(Boolean);
    const known = new Set(runs.map(({ id }) => id));
    runs.push(...found.filter(({ id }) => !known.has(id)));
    runs.length = Math.min(runs.length, MOST);
    draw();
  }

  function table(one, other) {
    const found = make("table");
    for (const cells of [["", "1", "2"], ...comparison(one, other, { texts, numbers })]) {
      const row = make("tr");
      row.append(...cells.map((cell, at) => make(at ? "td" : "th", "", String(cell))));
      found.append(row);
    }
    return found;
  }

  function draw() {
    box.hidden = !runs.length;
    const list = make("ul");
    list.append(...runs.map(entry));
    box.replaceChildren(make("h2", "", texts.history), list);
    const pair = runs.filter((run) => chosen.includes(run.id)).reverse();
    if (pair.length < 2) return;
    const both = make("div", "bw-history-pair");
    both.append(...pair.map(videoOf), table(...pair));
    box.append(both);
  }

  restore();
  return {
    begin(state) {
      if (state.recorded) now = null;
      else if (now?.id !== state.id) now = { id: state.id, rows: [] };
    },
    row(row) {
      if (!now) return;
      now.rows.push(row);
      if (row.k !== "done" || runs.some((run) => run.id === now.id)) return;
      runs.unshift(now);
      runs.length = Math.min(runs.length, MOST);
      kept.save(runs);
      draw();
    },
    relabel: draw,
  };
}

// The verdict of a finished comparison, its numbers, and its files.

import { make } from "../lib/elements.js";
import { fill } from "../lib/texts.js";

const FILES = ["baseline", "cached", "control", "difference", "share", "trace", "summary"];

// What stands large beside the sentence: the speed-up, or that nothing was reused. `speed`: what
// the race says of its own measurement; null of runs that were made one after the other.
export function headline(row, speed, { texts, numbers }) {
  const partial = row.steps_partial ?? 0; // recorded runs of former versions have none
  const reused = row.steps_reused + partial;
  if (!reused) return { figure: `0 / ${row.steps_computed}`, about: texts.reused };
  const speedup = `${numbers.fixed(row.speedup, 2)}×`;
  if (!speed) return { figure: speedup, about: texts.speedup };
  if (speed.busy) {
    const x = numbers.fixed(speed.robust ?? row.speedup, 1);
    return { figure: fill(texts.about, { x }), about: texts.speedup_busy };
  }
  const values = {
    ceiling: numbers.fixed(speed.ceiling, 2), spread: numbers.percent(speed.spread),
  };
  const known = typeof speed.ceiling === "number" && typeof speed.spread === "number";
  return { figure: speedup, about: known ? fill(texts.speedup_of, values) : texts.speedup };
}

export function createResult({ root, texts, numbers, base }) {
  const find = (name) => root.querySelector(name);
  const [sentence, warning, tiles] = [".bw-sentence", ".bw-warning", ".bw-numbers"].map(find);
  const [control, finePrint] = [".bw-control-line", ".bw-fine-print"].map(find);
  const files = find(".bw-files");
  const [figure, about] = find(".bw-big").children;
  let shared = null; // where the video to hand on is

  const inSeconds = (value) => fill(texts.seconds, { s: numbers.seconds(value) });

  function tilesOf(row, { speed }) {
    const saved = row.baseline_seconds - row.cached_seconds;
    const partial = row.steps_partial ?? 0;
    const reused = row.steps_reused + partial;
    const steps = `${reused} / ${row.steps_computed + reused}`;
    const found = [
      ...(reused ? gain(row, saved, speed) : []),
      [steps, partial ? texts.reused_in_part : texts.reused],
      [numbers.decibels(row.psnr_db), texts.psnr],
      [numbers.fixed(row.ssim, 3), texts.ssim],
    ];
    if (typeof row.vmaf === "number") found.push([numbers.fixed(row.vmaf, 1), texts.vmaf]);
    if (typeof row.lpips === "number") found.push([numbers.fixed(row.lpips, 3), texts.lpips]);
    if (typeof speed?.waited === "number") found.push([inSeconds(speed.waited), texts.waited]);
    return found;
  }

  // What was won: nothing where nothing was reused, roughly where the machine was busy.
  function gain(row, saved, speed) {
    if (speed?.busy) {
      const { figure: roughly, about: why } = headline(row, speed, { texts, numbers });
      return [[roughly, why]];
    }
    return [
      [inSeconds(Math.abs(saved)), saved >= 0 ? texts.saved : texts.lost],
      [`${numbers.fixed(row.speedup, 2)}×`, texts.speedup],
    ];
  }

  function tile([value, name]) {
    const made = make("div");
    made.append(make("dt", "", name), make("dd", "", value));
    return made;
  }

  const placesOf = (row) => ({ ...row.files, share: shared ?? row.files.share });

  function link(row, name) {
    const made = make("a", "", texts[`file_${name}`]);
    made.href = base + placesOf(row)[name];
    made.download = "";
    return made;
  }

  function showControl(row) {
    control.hidden = !row.control_steps;
    if (!row.control_steps) return;
    control.textContent = fill(texts.control_line, {
      kind: texts[`control_kind_${row.control_kind ?? "fewer"}`],
      steps: row.control_steps,
      seconds: numbers.seconds(row.control_seconds),
      psnr: numbers.decibels(row.control_psnr_db),
    });
  }

  return {
    row(row) {
      if (row.k === "share") shared = row.url;
    },
    begin() {
      shared = null;
      const said = [sentence, finePrint, figure, about, find(".bw-measure")];
      for (const node of said) node.textContent = "";
      tiles.replaceChildren();
      warning.hidden = control.hidden = files.hidden = true;
    },
    done(row, state) {
      const found = headline(row, state.speed, { texts, numbers });
      figure.textContent = found.figure;
      about.textContent = found.about;
      sentence.textContent = row.verdict;
      warning.hidden = !row.warning;
      warning.textContent = row.warning || "";
      tiles.replaceChildren(...tilesOf(row, state).map(tile));
      showControl(row);
      const share = numbers.percent(row.indicator_share);
      finePrint.textContent = fill(texts.fine_print, { device: row.device, share });
      // a recorded run's comes with its verdict, in this language
      find(".bw-measure").textContent = row.measure ?? state.speed?.measure ?? "";
      const links = FILES.filter((name) => placesOf(row)[name]).map((name) => link(row, name));
      files.replaceChildren(files.firstElementChild, ...links);
      files.hidden = false;
    },
  };
}

// The verdict of a finished comparison, its numbers, and its files.

import { make } from "../lib/elements.js";
import { fill } from "../lib/texts.js";

const FILES = ["baseline", "cached", "control", "difference", "trace", "summary"];

// What stands large beside the sentence: the speed-up, or that nothing was reused. `speed`: what
// the race says of its own measurement; null of runs that were made one after the other.
export function headline(row, speed, { texts, numbers }) {
  const partial = row.steps_partial ?? 0; // recorded runs of former versions have none
  const reused = row.steps_reused + partial;
  if (!reused) return { figure: `0 / ${row.steps_computed}`, about: texts.reused };
  const speedup = `${numbers.fixed(row.speedup, 2)}×`;
  if (!speed) return { figure: speedup, about: texts.speedup };
  if (speed.busy) {
    const about = `${texts.about} ${numbers.fixed(speed.robust ?? row.speedup, 1)}×`;
    return { figure: about, about: texts.busy };
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
  let speed = null;

  const inSeconds = (value) => fill(texts.seconds, { s: numbers.seconds(value) });

  function tilesOf(row) {
    const saved = row.baseline_seconds - row.cached_seconds;
    const partial = row.steps_partial ?? 0;
    const reused = row.steps_reused + partial;
    const steps = `${reused} / ${row.steps_computed + reused}`;
    const speedup = speed?.busy ? headline(row, speed, { texts, numbers }).figure
      : `${numbers.fixed(row.speedup, 2)}×`;
    const gain = reused ? [
      [inSeconds(Math.abs(saved)), saved >= 0 ? texts.saved : texts.lost],
      [speedup, texts.speedup],
    ] : [];
    const found = [
      ...gain,
      [steps, partial ? texts.reused_in_part : texts.reused],
      [numbers.decibels(row.psnr_db), texts.psnr],
      [numbers.fixed(row.ssim, 3), texts.ssim],
    ];
    if (typeof row.lpips === "number") found.push([numbers.fixed(row.lpips, 3), texts.lpips]);
    if (typeof speed?.waited === "number") found.push([inSeconds(speed.waited), texts.waited]);
    return found;
  }

  function tile([value, name]) {
    const made = make("div");
    made.append(make("dt", "", name), make("dd", "", value));
    return made;
  }

  function link(row, name) {
    const made = make("a", "", texts[`file_${name}`]);
    made.href = base + row.files[name];
    made.download = "";
    return made;
  }

  function showControl(row) {
    control.hidden = !row.control_steps;
    if (!row.control_steps) return;
    control.textContent = fill(texts.control_line, {
      steps: row.control_steps,
      seconds: numbers.seconds(row.control_seconds),
      psnr: numbers.decibels(row.control_psnr_db),
    });
  }

  return {
    begin() {
      speed = null;
      for (const node of [sentence, finePrint, figure, about]) node.textContent = "";
      tiles.replaceChildren();
      warning.hidden = control.hidden = files.hidden = true;
    },
    row(row) {
      if (row.k === "speed") speed = row;
    },
    done(row) {
      const found = headline(row, speed, { texts, numbers });
      figure.textContent = found.figure;
      about.textContent = found.about;
      sentence.textContent = row.verdict;
      warning.hidden = !row.warning;
      warning.textContent = row.warning || "";
      tiles.replaceChildren(...tilesOf(row).map(tile));
      showControl(row);
      const share = numbers.percent(row.indicator_share);
      finePrint.textContent = fill(texts.fine_print, { device: row.device, share });
      const links = FILES.filter((name) => name in row.files).map((name) => link(row, name));
      files.replaceChildren(files.firstElementChild, ...links);
      files.hidden = false;
    },
  };
}

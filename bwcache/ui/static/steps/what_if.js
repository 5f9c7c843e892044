// What another threshold would do: a slider over the table of schedules that the server has sent.
// Asks no server, until its button puts the values into the form.

import { make } from "../lib/elements.js";
import { fill } from "../lib/texts.js";
import { createScheduleTable } from "./schedule_table.js";

const MARGIN = 1.1; // beyond the measured range, at both ends
const LEAST_DISTANCE = 0.012; // relative, of two stops
const ASKED = ["threshold", "interval", "gate"];
const SENT = ["model", "method", ...ASKED];
const DENSE = 9; // pixels a step: with less room there are no letters

// The slider's places: round numbers, close together where the curve is low, and this run's own.
export function thresholdStops(measured, own) {
  const [low, high] = [Math.min(...measured) / MARGIN, Math.max(...measured) * MARGIN];
  const digits = Math.max(3, 1 - Math.floor(Math.log10(low)));
  const grid = 10 ** digits;
  const stops = new Set([own]);
  for (let n = Math.floor(low * grid); n <= Math.ceil(high * grid);) {
    stops.add(Number((n / grid).toFixed(digits)));
    n += Math.max(1, Math.round(n * LEAST_DISTANCE));
  }
  return [...stops].sort((a, b) => a - b);
}

// Whether so few steps are computed that as many uncached ones are about as good. `paysFrom`:
// [steps, of steps] where caching begins to pay; null where nobody has measured it.
export function computesTooFew({ letters, reused }, paysFrom) {
  if (!paysFrom || !reused) return false;
  return (letters.length - reused) / letters.length < paysFrom[0] / paysFrom[1];
}

export function createWhatIf({ root, texts, numbers, charts, trigger }) {
  const find = (name) => root.querySelector(`.bw-whatif${name}`);
  const box = find("");
  const cells = box.querySelector(".bw-cells");
  const [slider, interval, gate] = ["-slider", "-interval", "-gate"].map(find);
  const [use, back, used] = ["-use", "-back", "-used"].map(find);
  let settings = null; // of the run that was measured; null before there is one
  let table = null;
  let stops = [];
  let pending = 0;

  const chosen = () => ({
    ...settings, threshold: stops[slider.value], interval: interval.value, gate: gate.value,
  });

  function offer(state) {
    const { rows } = state.runs.baseline;
    const measured = rows.map((row) => row.v).filter((v) => v > 0);
    if (!measured.length || !table.has(state.settings)) return;
    ({ settings } = state);
    stops = thresholdStops(measured, settings.threshold);
    slider.max = stops.length - 1;
    interval.replaceChildren(...table.intervals().map(([spelling, steps]) => {
      const isOwn = spelling === settings.interval;
      const text = isOwn ? fill(texts.whatif_this_run, { value: steps }) : steps;
      const option = make("option", "", text);
      option.value = spelling;
      return option;
    }));
    find("-starts").hidden = table.startsAbove === null;
    const starts = { value: numbers.significant(table.startsAbove) };
    find("-starts").textContent = fill(texts.whatif_starts, starts);
    cells.style.setProperty("--steps", rows.length);
    cells.replaceChildren(...rows.map(() => make("span")));
    box.hidden = false;
    showThisRun();
  }

  function showThisRun() {
    slider.value = stops.indexOf(settings.threshold);
    interval.value = settings.interval;
    gate.value = settings.gate;
    show();
  }

  function show() {
    pending = 0;
    if (!settings || !table.has(chosen())) return;
    const config = chosen();
    const found = table.lookup(config);
    const isThisRun = ASKED.every((name) => config[name] === settings[name]);
    find("-value").textContent = numbers.significant(config.threshold, 6);
    slider.setAttribute("aria-valuetext", find("-value").textContent);
    showAnswer(found);
    showWarning(found);
    found.letters.forEach((letter, i) => {
      cells.children[i].className = letter === "r" ? "bw-r" : "bw-c";
      cells.children[i].textContent = letter;
    });
    cells.setAttribute("aria-label", `${texts.whatif_strip}: ${found.letters.join(" ")}`);
    back.disabled = isThisRun;
    used.textContent = "";
    const { threshold } = config;
    charts.preview(isThisRun ? null : { threshold, letters: found.letters });
  }

  function showAnswer({ letters, reused, seconds, exact }) {
    find("-reused").textContent = reused
      ? fill(texts.whatif_reused, { reused, steps: letters.length }) : texts.whatif_nothing;
    find("-seconds").textContent = reused ? fill(texts.whatif_seconds, {
      seconds: numbers.seconds(seconds),
      whole: numbers.seconds(table.whole),
      speedup: numbers.fixed(table.whole / seconds, 2),
    }) : "";
    const kind = exact ? texts.whatif_exact : texts.whatif_estimate;
    find("-kind").textContent = reused ? `${kind} ${texts.whatif_times}` : kind;
  }

  function showWarning(found) {
    const paysFrom = settings.pays_from;
    const tooFew = computesTooFew(found, paysFrom);
    find("-pays").hidden = !tooFew;
    if (!tooFew) return;
    const steps = found.letters.length;
    const [least, of] = paysFrom;
    const values = { computed: steps - found.reused, steps, least, of };
    find("-pays").textContent = fill(texts.too_few_computed, values);
  }

  new ResizeObserver(() => {
    cells.classList.toggle("dense", cells.clientWidth / cells.children.length < DENSE);
  }).observe(cells);
  const showSoon = () => { pending ||= requestAnimationFrame(show); };
  for (const field of [slider, interval, gate]) field.addEventListener("input", showSoon);
  back.addEventListener("click", () => {
    showThisRun();
    slider.focus();
  });
  use.addEventListener("click", () => {
    const config = chosen();
    trigger("submit", Object.fromEntries(SENT.map((name) => [name, config[name]])));
    used.textContent = texts.whatif_used;
  });

  return {
    begin() {
      settings = table = null;
      box.hidden = true;
    },
    row(row, state) {
      if (row.k === "schedule_table") {
        table = createScheduleTable(row);
        state.scheduleTable = table; // the tour reads it, too
      } else if (row.k === "thresholds" || row.k === "schedules") {
        table.add(row);
        if (table.isComplete()) offer(state);
      }
    },
  };
}

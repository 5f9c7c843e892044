// How much each block changed at each step. On a canvas: four times cheaper than Plotly, live.

import { logScale, viridis } from "../lib/colour_scale.js";
import { make } from "../lib/elements.js";
import { COMPARED, isReused } from "../lib/runs.js";
import { fill } from "../lib/texts.js";

const HEAD = 1.5; // above the cells, for the run's name, in the size of letters
const FOOT = 4; // pixels
const GAP = 6; // between two maps, as in the style sheet
const HEIGHT = 132; // of all cells, as far as their bounds allow, where the page gives none
const [LEAST_CELL, MOST_CELL] = [4, 18];
const LEAST_MAP = 20; // pixels of cells: with less room for two maps there is one
const NAMED_FROM = 60; // pixels of cells: with less room the axis has no name
const HATCH = 6; // pixels between two lines of a reused step

// `redraw`: draws the present state once more.
export function createHeatMap({ root, texts, numbers, runName, colour, gutter }, redraw) {
  const find = (name) => root.querySelector(name);
  const [box, readout] = [".bw-heats", ".bw-readout"].map(find);
  const toggles = [...root.querySelectorAll(".bw-toggle button")];
  let state = null;
  let shown = "both"; // or a run
  let maps = [];
  let drawnSize = "";

  // The least and the largest distance of both runs; null where there is none.
  function range() {
    const all = COMPARED.flatMap((run) => state.runs[run].rows.flatMap((row) => row.d || []))
      .filter((distance) => distance > 0);
    return all.length ? [Math.min(...all), Math.max(...all)] : null;
  }

  function blockCount() {
    const counts = COMPARED.flatMap((run) => state.runs[run].rows.map((row) => row.d?.length || 0));
    return Math.max(1, ...counts);
  }

  function draw(next) {
    state = next;
    const blocks = blockCount();
    const runs = shown !== "both" ? [shown] : hasRoomForTwo() ? COMPARED : ["cached"];
    if (box.dataset.runs !== runs.join()) {
      box.dataset.runs = runs.join();
      maps = runs.map((run) => ({ run, canvas: makeCanvas(run) }));
      box.replaceChildren(...maps.map((map) => map.canvas));
    }
    const found = range();
    find(".bw-scale-low").textContent = found ? numbers.significant(found[0], 2) : "";
    find(".bw-scale-high").textContent = found ? numbers.significant(found[1], 2) : "";
    for (const map of maps) paint(map, blocks, found && logScale(...found));
  }

  function makeCanvas(run) {
    const canvas = make("canvas");
    canvas.setAttribute("role", "img");
    canvas.addEventListener("pointermove", (event) => readOut(event, run, canvas));
    canvas.addEventListener("pointerdown", (event) => readOut(event, run, canvas));
    canvas.addEventListener("pointerleave", clearReadout);
    return canvas;
  }

  const letters = () => parseFloat(colour("--chart-font")) || 12;

  const isGiven = () => colour("--heats") === "given";
  const hasRoomForTwo = () => !isGiven()
    || box.clientHeight >= 2 * (HEAD * letters() + LEAST_MAP + FOOT) + GAP;

  // A cell's height: what the page leaves, where the style sheet says that the box has its own.
  function cellHeight(blocks, top) {
    if (!isGiven()) {
      return Math.min(Math.max(HEIGHT / blocks, LEAST_CELL), MOST_CELL);
    }
    const each = (box.clientHeight - GAP * (maps.length - 1)) / maps.length;
    return Math.max((each - top - FOOT) / blocks, 1);
  }

  function paint({ run, canvas }, blocks, scale) {
    const [left, right] = gutter();
    const width = box.clientWidth;
    if (!width) return;
    const top = Math.round(HEAD * letters());
    const cell = cellHeight(blocks, top);
    const place = {
      left, top, cell, blocks, column: (width - left - right) / state.steps,
      width: width - left - right, height: cell * blocks,
    };
    const { rows } = state.runs[run];
    const values = { run: runName(run), blocks, steps: rows.length };
    canvas.setAttribute("aria-label", fill(texts.heat_label, values));
    canvas.place = place;
    const pen = sized(canvas, width, top + place.height + FOOT);
    pen.fillStyle = colour("--well");
    pen.fillRect(left, top, place.width, place.height);
    for (const row of rows) paintStep(pen, place, row, scale);
    paintNames(pen, place, runName(run));
  }

  // The canvas's pen, in CSS pixels on screens of any density.
  function sized(canvas, width, height) {
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.height = `${height}px`;
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    return pen;
  }

  function paintStep(pen, { left, top, column, cell, blocks, height }, row, scale) {
    const x = left + row.i * column;
    if (isReused(row)) hatch(pen, x, top, column, height);
    if (!row.d || !scale) return;
    row.d.forEach((distance, block) => {
      if (distance === null) return;
      pen.fillStyle = viridis(scale(distance));
      pen.fillRect(x, top + (blocks - 1 - block) * cell, column + 0.4, cell + 0.4);
    });
  }

  function paintNames(pen, { left, top, cell, blocks, height }, name) {
    const size = letters();
    pen.fillStyle = colour("--ink-2");
    pen.font = `600 ${size}px system-ui, sans-serif`;
    pen.textBaseline = "alphabetic";
    pen.fillText(name, left, size);
    pen.font = `${size}px system-ui, sans-serif`;
    pen.textAlign = "right";
    pen.fillText(String(blocks), left - 6, top + 0.8 * size);
    if (blocks > 1 && height > 2 * size) pen.fillText("1", left - 6, top + cell * blocks - 1);
    if (height <= NAMED_FROM) return;
    pen.save();
    pen.translate(left - 6 - 1.6 * size, top + height / 2);
    pen.rotate(-Math.PI / 2);
    pen.textAlign = "center";
    pen.fillText(texts.axis_block, 0, 0);
    pen.restore();
  }

  function hatch(pen, x, y, width, height) {
    pen.save();
    pen.beginPath();
    pen.rect(x, y, width, height);
    pen.clip();
    pen.fillStyle = colour("--reuse-band");
    pen.fillRect(x, y, width, height);
    pen.strokeStyle = colour("--hatch");
    pen.lineWidth = 1;
    pen.beginPath();
    for (let start = -height; start < width; start += HATCH) {
      pen.moveTo(x + start, y + height);
      pen.lineTo(x + start + height, y);
    }
    pen.stroke();
    pen.restore();
  }

  function clearReadout() {
    readout.textContent = texts.readout_idle;
  }

  function readOut(event, run, canvas) {
    if (!state || !canvas.place) return;
    const { left, top, column, cell, blocks } = canvas.place;
    const step = Math.floor((event.offsetX - left) / column);
    const block = blocks - 1 - Math.floor((event.offsetY - top) / cell);
    if (step < 0 || step >= state.steps || block < 0 || block >= blocks) {
      clearReadout();
      return;
    }
    const row = state.runs[run].rows[step];
    const v = row?.d ? numbers.significant(row.d[block]) : "";
    const values = { run: runName(run), i: step + 1, b: block + 1, v };
    readout.textContent = fill(readoutText(row), values);
  }

  function readoutText(row) {
    if (!row) return texts.readout_none;
    if (isReused(row)) return texts.readout_reused;
    return row.d ? texts.readout_value : texts.readout_first;
  }

  for (const button of toggles) {
    button.addEventListener("click", () => {
      shown = button.dataset.show;
      for (const one of toggles) one.setAttribute("aria-pressed", String(one === button));
      redraw();
    });
  }
  new ResizeObserver(() => {
    const given = isGiven() ? box.clientHeight : "";
    const next = `${box.clientWidth} ${given}`;
    if (next !== drawnSize) redraw();
    drawnSize = next;
  }).observe(box);
  return { draw, reset: clearReadout };
}

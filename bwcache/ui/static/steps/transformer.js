// The transformer of each run, below its video: x → blocks → head. The blocks that a step ran light
// up one after the other; those that it did not run are bridged by what is replayed.

import { make } from "../lib/elements.js";
import { fill } from "../lib/texts.js";

const [SHORTEST, LONGEST] = [0.1, 1.5]; // seconds that a step's lights take
const UNKNOWN = 8; // blocks that are drawn while nobody has told how many there are

// What a step did, a letter a block: "C" ran, "r" was replayed. `known`: how many blocks there are.
export function lettersOf(row, known = UNKNOWN) {
  if (row.blocks) {
    return row.blocks.replace(/(\D)(\d+)/g, (_, letter, count) => letter.repeat(Number(count)));
  }
  return (row.a === "r" ? "r" : "C").repeat(row.d?.length || known);
}

// The replayed stretches as [first, behind the last].
export function stretches(letters) {
  return [...letters.matchAll(/r+/g)].map((found) => [found.index, found.index + found[0].length]);
}

export function createTransformer({ root, texts, player, runName }) {
  let nets = new Map(); // run → {box, blocks, beat}
  let state = null;

  function addNet(run) {
    const box = make("div", "bw-net");
    box.dataset.run = run;
    box.setAttribute("role", "img");
    const blocks = make("span", "bw-net-blocks");
    box.append(make("span", "bw-net-end", "x"), blocks, make("span", "bw-net-end", texts.net_head));
    player.stage(run).append(box);
    const net = { box, blocks, count: UNKNOWN };
    nets.set(run, net);
    drawBlocks(net, "", 0);
    box.setAttribute("aria-label", fill(texts.net_waiting, { run: runName(run) }));
  }

  // `seconds`: what the lights take from the first block to the last; 0: at once.
  function drawBlocks(net, letters, seconds) {
    const shown = letters || ".".repeat(net.count);
    net.blocks.style.setProperty("--sweep", `${seconds}s`);
    net.blocks.replaceChildren(
      ...[...shown].map((letter, i) => {
        const block = make("i", { C: "bw-ran", r: "bw-replayed" }[letter] ?? "");
        block.style.setProperty("--at", i / shown.length);
        return block;
      }),
      ...stretches(shown).map(([from, to]) => {
        const bridge = make("b", "bw-bridge");
        bridge.style.left = `${(100 * from) / shown.length}%`;
        bridge.style.width = `${(100 * (to - from)) / shown.length}%`;
        return bridge;
      }),
    );
  }

  function draw(run, row, seconds) {
    const net = nets.get(run);
    if (!net) return;
    const letters = lettersOf(row, net.count);
    net.count = letters.length;
    drawBlocks(net, letters, seconds);
    const ran = letters.replaceAll("r", "").length;
    net.box.setAttribute("aria-label", fill(texts.net_label, {
      run: runName(run), i: row.i + 1, ran, n: letters.length,
    }));
  }

  function took(run, row) {
    const before = state.runs[run].rows[row.i - 1]?.s ?? 0;
    return Math.min(Math.max(row.s - before, SHORTEST), LONGEST);
  }

  return {
    begin(next) {
      state = next;
      nets = new Map();
      Object.keys(next.runs).forEach(addNet);
    },
    row(row) {
      if (row.k !== "step" || "scrubbed" in root.dataset) return;
      draw(row.run, row, state.recorded && !("replaying" in root.dataset) ? 0 : took(row.run, row));
    },
    // The step that is looked at; null: each run's last one.
    lookAt(step) {
      for (const [run, { rows }] of Object.entries(state.runs)) {
        const row = rows[Math.min(step ?? Infinity, rows.length - 1)];
        if (row) draw(run, row, 0);
      }
    },
  };
}

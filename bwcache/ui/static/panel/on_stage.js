// The stage, `?stage=1` or its button: the overview alone fills the window, in large type, and has
// keys (keys.js). The kiosk, `python app.py --kiosk` or `?kiosk=1`, is a stage that starts afresh:
// left alone after somebody used it, the page is loaded anew. The look is in on_stage.css; what
// goes through the recorded runs is gallery.js.

import { bareAddress } from "../page/address.js";

const ABANDONED = 90; // seconds without input and without a run under way
const INPUTS = ["pointerdown", "wheel", "touchstart", "keydown", "input"];
const STAGE = "bw-on-stage";

export const isOnStage = () => document.body.classList.contains(STAGE);

export function startStage({ root, props }) {
  const address = new URLSearchParams(location.search);
  const isKiosk = props.kiosk || address.get("kiosk") === "1";
  document.body.classList.toggle(STAGE, isKiosk || address.get("stage") === "1");
  // The header is made anew with each model: its button is found when it is pressed.
  document.addEventListener("click", ({ target }) => {
    if (target.closest?.(".bw-stage-switch")) document.body.classList.toggle(STAGE);
  });
  if (isKiosk) startKiosk(root, 1000 * (Number(address.get("idle")) || ABANDONED));
}

function startKiosk(root, patience) {
  document.body.classList.add("bw-kiosk");
  root.dataset.kiosk = "";
  let used = false;
  let lastInput = performance.now();
  let reloading = false;

  function noteInput({ isTrusted }) {
    if (!isTrusted) return;
    used = true;
    lastInput = performance.now();
  }

  // As if newly opened, with no trace of the last visitor; not while the server is away.
  async function reload() {
    reloading = true;
    try {
      const { ok } = await fetch(bareAddress(), { method: "HEAD", cache: "no-store" });
      if (ok) location.replace(bareAddress());
    } catch { /* tried again a second later */ } finally {
      reloading = false;
    }
  }

  for (const event of INPUTS) {
    document.addEventListener(event, noteInput, { passive: true, capture: true });
  }
  setInterval(() => {
    const now = performance.now();
    const running = root.dataset.phase === "running" && !("replaying" in root.dataset);
    if (running) lastInput = Math.max(lastInput, now);
    else if (used && !reloading && now - lastInput >= patience) reload();
  }, 1000);
}

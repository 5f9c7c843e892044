// Kiosk mode: `python app.py --kiosk`, or `?kiosk=1`. The look is in kiosk.css; going through the
// recorded runs is gallery.js. Left alone after somebody used it, the page is loaded anew.

import { bareAddress } from "../page/address.js";

const ABANDONED = 90; // seconds without input and without a run under way
const INPUTS = ["pointerdown", "wheel", "touchstart", "keydown", "input"];

export function startKiosk({ root, props }) {
  const address = new URLSearchParams(location.search);
  if (!props.kiosk && address.get("kiosk") !== "1") return;
  document.body.classList.add("bw-kiosk");
  root.dataset.kiosk = "";
  const patience = 1000 * (Number(address.get("idle")) || ABANDONED);
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

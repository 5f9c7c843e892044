// Kiosk mode: `python app.py --kiosk`, or `?kiosk=1`. The look is in kiosk.css; going through the
// recorded runs is gallery.js. Left alone after somebody used it, the page starts afresh.

const ABANDONED = 90; // seconds without input and without a run under way

function createKiosk({ root, props }) {
  if (!props.kiosk && ADDRESS.get("kiosk") !== "1") return {};
  document.body.classList.add("bw-kiosk");
  root.dataset.kiosk = "";
  const patience = 1000 * (Number(ADDRESS.get("idle")) || ABANDONED);
  let used = false, last = performance.now(), asking = false;

  for (const event of ["pointerdown", "wheel", "touchstart", "keydown", "input"]) {
    document.addEventListener(event, ({ isTrusted }) => {
      if (!isTrusted) return;
      used = true;
      last = performance.now();
    }, { passive: true, capture: true });
  }

  // As if newly opened, with no trace of the last visitor; not while the server is away.
  async function afresh() {
    asking = true;
    try {
      const { ok } = await fetch(location.href, { method: "HEAD", cache: "no-store" });
      if (ok) location.reload();
    } catch { /* tried again at the next look */ } finally {
      asking = false;
    }
  }

  setInterval(() => {
    const running = root.dataset.phase === "running" && !("replaying" in root.dataset);
    if (running) last = Math.max(last, performance.now());
    else if (used && !asking && performance.now() - last >= patience) afresh();
  }, 1000);
  return {};
}

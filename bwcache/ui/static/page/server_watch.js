// While a run is under way and says nothing, asks whether its server is still there. One that was
// started anew knows nothing of the run: the page is loaded anew, and the address has its settings.

const QUIET = 5000; // ms without news before it is asked
const EVERY = 2000; // ms between two questions
const PATIENCE = 4000; // ms for an answer

// What became of the server: "same", "other" or "gone".
export async function look(address, id, ask = fetch) {
  try {
    const answer = await ask(address, { signal: AbortSignal.timeout(PATIENCE), cache: "no-store" });
    if (!answer.ok) return "gone";
    const found = await answer.json();
    return String(found.app_id) === String(id) ? "same" : "other";
  } catch {
    return "gone";
  }
}

export function createServerWatch({ root, texts, base }) {
  const id = window.gradio_config?.app_id;
  const status = root.querySelector(".bw-status-text");
  const isUnderWay = () => root.dataset.phase === "running" && !isRecorded;
  let isRecorded = false;
  let heard = 0;
  let timer = 0;

  async function check() {
    if (!isUnderWay()) {
      clearInterval(timer);
      timer = 0;
      return;
    }
    if (performance.now() - heard < QUIET) return;
    const found = await look(`${base}/gradio_api/app_id`, id);
    if (!isUnderWay() || performance.now() - heard < QUIET) return;
    if (found === "other") window.location.reload();
    if (found === "gone") status.textContent = texts.server_gone;
  }

  function listen() {
    heard = performance.now();
    if (!timer && id !== undefined) timer = setInterval(check, EVERY);
  }

  return {
    begin(state) {
      isRecorded = Boolean(state.recorded);
      if (!isRecorded) listen();
    },
    row() { heard = performance.now(); },
    message(row) {
      if (row.k === "waiting") {
        isRecorded = false;
        listen();
      }
    },
  };
}

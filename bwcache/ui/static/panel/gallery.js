// Recorded runs: a list of cards, played in the panel. All of it happens in the browser, from each
// run's run.json: no model, no queue. The first one is the page's landing state.
//
// Kiosk mode: while `root.dataset.kiosk` is set (its number: seconds, else 20), or the body has the
// class "bw-kiosk", an idle page cycles through the runs. A pointer or key stops that for three
// times as long. `root` has data-replaying while a run is being played. `panel.gallery`: runs,
// show(slug, seconds), and cycle() for the next one now.

function createGallery(panel) {
  const { root, T, base } = panel;
  const FORMAT = "bwcache-recorded-run", VERSION = 1;
  const FAST = 4, IDLE = 20; // seconds: a whole run played fast; until an idle kiosk goes on
  const at = (name) => root.querySelector(name);
  const [box, cards, broken, replay] = [".bw-gallery", ".bw-runs", ".bw-broken", ".bw-replay"].map(at);
  const [label, caption, toggle] = [".bw-recorded span", ".bw-recorded-caption", ".bw-runs-toggle"].map(at);
  const all = panel.props.runs || [];
  const runs = all.filter((run) => !run.error);
  const kept = new Map(); // slug → the rows of a run that was fetched
  let chosen = null; // the run on show; null while it is a visitor's own
  let turn = 0; // counts what was shown: whoever finds it changed gives up
  let playing = false;
  let restUntil = performance.now() + 1000 * IDLE; // a kiosk's next move

  const busy = () => root.dataset.phase === "running" && !playing; // a visitor's run is under way
  const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

  // --- one run ---------------------------------------------------------------------------------
  async function fetched(run) {
    if (kept.has(run.slug)) return kept.get(run.slug);
    let answer, data;
    try {
      answer = await fetch(`${base}${run.folder}run.json`);
    } catch {
      throw new Error(T.run_unreachable);
    }
    if (!answer.ok) throw new Error(fill(T.run_refused, { status: answer.status }));
    try {
      data = await answer.json();
    } catch {
      throw new Error(T.run_no_json);
    }
    const rows = data?.rows;
    if (data?.format !== FORMAT || data.version !== VERSION) {
      throw new Error(fill(T.run_foreign, { format: data?.format, version: data?.version }));
    }
    const kind = (place) => Array.isArray(rows) && rows.at(place)?.row?.k;
    if (kind(0) !== "begin" || kind(-1) !== "done" || !data.files) {
      throw new Error(T.run_incomplete);
    }
    const url = (name) => run.folder + encodeURIComponent(data.files[name]);
    const files = Object.fromEntries(Object.keys(data.files).map((name) => [name, url(name)]));
    const placed = (row) => row.k === "video" ? { ...row, url: url(row.run) }
      : row.k === "done" ? { ...row, ...run.words?.[T.locale.slice(0, 2)], files } : row;
    const whole = rows.map(({ at, row }) => ({ at, row: placed(row) }));
    kept.set(run.slug, whole);
    return whole;
  }

  // Show a run, its rows spread over so many seconds; 0: finished at once. Says whether it could.
  async function show(run, seconds = 0) {
    const mine = ++turn;
    let rows;
    try {
      rows = await fetched(run);
    } catch (error) {
      if (mine === turn) complain(run, error.message);
      return mine !== turn;
    }
    if (mine !== turn) return true;
    withdraw(run);
    chosen = run;
    const shown = [{ ...rows[0].row, id: `recorded-${run.slug}-${mine}`, recorded: true }];
    const speed = seconds > 0 ? rows.at(-1).at / seconds : Infinity;
    const began = performance.now();
    playing = seconds > 0;
    root.toggleAttribute("data-replaying", playing);
    const tick = () => {
      if (mine !== turn) return;
      const now = playing ? (performance.now() - began) / 1000 * speed : Infinity;
      const before = shown.length;
      while (shown.length < rows.length && rows[shown.length].at <= now) shown.push(rows[shown.length].row);
      if (shown.length > before || before === 1) panel.feed(shown);
      if (shown.length < rows.length) requestAnimationFrame(tick);
      else finish();
    };
    tick();
    return true;
  }

  function finish() {
    playing = false;
    restUntil = Math.max(restUntil, performance.now() + idle());
    update();
  }

  function complain(run, why) {
    withdraw(run);
    const line = make("p", "", fill(T.run_broken, { title: run.title, why }));
    line.dataset.slug = run.slug;
    broken.append(line);
  }

  function withdraw(run) {
    for (const line of [...broken.children]) if (line.dataset.slug === run.slug) line.remove();
  }

  // --- what is seen ------------------------------------------------------------------------------
  const date = (run) => new Date(run.recorded).toLocaleDateString(T.locale, {
    day: "numeric", month: "short", year: "numeric", timeZone: "UTC",
  });

  function card(run) {
    const button = make("button", "bw-run");
    const picture = make("img");
    Object.assign(picture, { src: base + run.thumbnail, alt: "", loading: "lazy" });
    const words = make("span", "bw-run-words");
    const psnr = run.psnr_db === null ? T.identical : `${run.psnr_db.toFixed(1)} dB`;
    const numbers = fill(T.run_numbers, { threshold: run.threshold, speedup: run.speedup.toFixed(2), psnr });
    words.append(make("b", "", run.title), make("span", "", numbers),
      make("small", "", fill(T.recorded_on, { date: date(run) })));
    button.type = "button";
    button.title = run.caption;
    button.dataset.slug = run.slug;
    button.append(picture, words);
    button.addEventListener("click", () => show(run));
    return button;
  }

  function update() {
    const own = chosen === null && root.dataset.phase !== "empty";
    box.dataset.shows = chosen ? "recorded" : own ? "own" : "nothing";
    root.toggleAttribute("data-replaying", playing);
    const open = !own || toggle.getAttribute("aria-expanded") === "true";
    cards.hidden = !open;
    for (const button of cards.children) {
      button.disabled = busy();
      button.setAttribute("aria-pressed", String(button.dataset.slug === chosen?.slug));
    }
    for (const button of replay.children) {
      if (button.dataset.replay === "skip") button.hidden = !playing;
      button.disabled = busy();
    }
    replay.hidden = !chosen;
    caption.hidden = !chosen;
    if (!chosen) return;
    label.textContent = fill(T.recorded_where, { hardware: chosen.hardware, date: date(chosen) });
    caption.replaceChildren(make("q", "", chosen.prompt), ` · ${chosen.caption}`);
  }

  const replays = {
    real: () => show(chosen, kept.get(chosen.slug).at(-1).at),
    fast: () => show(chosen, FAST),
    skip: () => show(chosen),
  };
  for (const button of replay.children) {
    button.addEventListener("click", () => replays[button.dataset.replay]());
  }
  toggle.addEventListener("click", () => {
    toggle.setAttribute("aria-expanded", String(toggle.getAttribute("aria-expanded") !== "true"));
    update();
  });

  // --- the kiosk's cycle -------------------------------------------------------------------------
  const kiosk = () => "kiosk" in root.dataset || document.body.classList.contains("bw-kiosk");
  const idle = () => 1000 * (Number(root.dataset.kiosk) || IDLE);
  const rest = () => { restUntil = performance.now() + 3 * idle(); };

  function cycle() {
    const next = runs[(runs.indexOf(chosen) + 1) % runs.length];
    if (next && !busy()) show(next, still() ? 0 : FAST);
  }

  function look() {
    if (!kiosk()) restUntil = performance.now() + idle();
    else if (busy()) rest();
    else if (!playing && performance.now() >= restUntil) {
      restUntil = performance.now() + idle();
      cycle();
    }
  }

  // --- the landing -------------------------------------------------------------------------------
  async function land() {
    root.dataset.landing = "";
    for (const run of runs) if (await show(run)) break;
    delete root.dataset.landing;
    update();
  }

  panel.gallery = { runs, cycle, show: (slug, seconds) => show(runs.find((run) => run.slug === slug), seconds) };
  if (all.length) {
    box.hidden = false;
    cards.replaceChildren(...runs.map(card));
    for (const run of all) if (run.error) complain(run, run.error);
    new MutationObserver(() => {
      if (root.dataset.phase === "error") toggle.setAttribute("aria-expanded", "true");
      update();
    }).observe(root, { attributeFilter: ["data-phase"] });
    for (const event of ["pointerdown", "pointermove", "wheel", "touchstart", "keydown"]) {
      document.addEventListener(event, rest, { passive: true });
    }
    setInterval(look, 500);
    // Whatever the server sends is a visitor's own run: it stops what is being played.
    watch("value", () => {
      if (!Array.isArray(props.value) || !props.value.length) return;
      turn += 1;
      playing = false;
      update();
    });
    update();
    if (!Array.isArray(props.value) || !props.value.length) land();
  }

  return {
    begin(state) {
      if (!state.recorded) {
        chosen = null;
        toggle.setAttribute("aria-expanded", "false");
      }
      update();
    },
    ...panel.gallery,
  };
}

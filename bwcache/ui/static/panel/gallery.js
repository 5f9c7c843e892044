// Recorded runs: a list of cards, played in the panel. All of it happens in the browser, from each
// run's run.json: no model, no queue. The first one is what a visitor finds.
//
// In the kiosk, where `root` has data-kiosk (its number: seconds, else 20), an idle page goes
// through the runs. A pointer or key stops that for three times as long. `root` has data-replaying
// while a run is being played.

import { make, motionIsReduced } from "../lib/elements.js";
import { fetchAhead } from "../lib/fetched.js";
import { translated } from "../lib/phrases.js";
import { settingOf } from "../lib/runs.js";
import { fill } from "../lib/texts.js";
import { addressedRecording, addressedRun, showsRun } from "../page/address.js";
import { checked, fetchRun, withAddresses } from "./recorded_run.js";

const FAST = 4; // seconds of a whole run that is played fast
const IDLE = 20; // seconds until an idle kiosk goes on
const INPUTS = ["pointerdown", "pointermove", "wheel", "touchstart", "keydown"];

export function createGallery(panel) {
  const { root, texts, numbers, base, props, watch, feed } = panel;
  const find = (name) => root.querySelector(name);
  const [box, cards, problems] = [".bw-gallery", ".bw-runs", ".bw-broken"].map(find);
  const bar = find(".bw-recorded-bar");
  const [label, caption] = [".bw-recorded > span", ".bw-recorded-caption"].map(find);
  const [toggle, replay] = [".bw-runs-toggle", ".bw-replay"].map(find);
  const all = props.runs || [];
  const runs = all.filter((run) => !run.error);
  const fetched = new Map(); // slug → its run.json
  let chosen = null; // the run on show; null while it is a visitor's own
  let turn = 0; // counts what was shown: whoever finds it changed gives up
  let playing = false;
  let nextCycle = performance.now() + 1000 * IDLE; // a kiosk's next move

  const hasOwnRows = () => Array.isArray(props.value) && props.value.length > 0;
  let shownIsOwn = hasOwnRows(); // whether the panel shows what the server sent
  // Whether a visitor's own run is under way.
  const isBusy = () => root.dataset.phase === "running" && shownIsOwn;

  // --- one run ---------------------------------------------------------------------------------
  async function rowsOf(run) {
    if (!fetched.has(run.slug)) {
      const found = run.content // a frozen page has it at hand
        ? checked(run.content, texts) : await fetchRun(`${base}${run.folder}run.json`, texts);
      fetched.set(run.slug, found);
    }
    return withAddresses(fetched.get(run.slug), run.folder, run.words?.[texts.language]);
  }

  // Show a run, its rows spread over so many seconds; 0: finished at once. Says whether it could.
  async function show(run, seconds = 0) {
    turn += 1;
    const mine = turn;
    let rows;
    try {
      rows = await rowsOf(run);
    } catch (error) {
      if (mine === turn) showProblem(run, error.message);
      return mine !== turn;
    }
    if (mine === turn) {
      try {
        play(run, rows, seconds);
      } catch (error) { // what it holds cannot be drawn; the other cards can
        cannotDraw(run, error);
        return false;
      }
    }
    return true;
  }

  function play(run, rows, seconds) {
    clearProblem(run);
    chosen = run;
    showsRun(run === runs[0] ? {} : { recorded: run.slug });
    shownIsOwn = false; // before rows are fed: a card that is disabled loses the focus
    const mine = turn;
    const first = { ...rows[0].row, id: `recorded-${run.slug}-${mine}`, recorded: true };
    const shown = [first];
    const speed = seconds > 0 ? rows.at(-1).at / seconds : Infinity;
    const began = performance.now();
    playing = seconds > 0;
    root.toggleAttribute("data-replaying", playing);
    const showMore = () => {
      if (mine !== turn) return;
      const now = playing ? ((performance.now() - began) / 1000) * speed : Infinity;
      const before = shown.length;
      while (shown.length < rows.length && rows[shown.length].at <= now) {
        shown.push(rows[shown.length].row);
      }
      if (shown.length > before || before === 1) feed(shown);
      if (shown.length < rows.length) requestAnimationFrame(showLater);
      else finish();
    };
    const showLater = () => {
      try {
        showMore();
      } catch (error) {
        cannotDraw(run, error);
      }
    };
    showMore();
  }

  function cannotDraw(run, error) {
    console.error(error);
    playing = false;
    showProblem(run, texts.run_incomplete);
    update();
  }

  function finish() {
    playing = false;
    nextCycle = Math.max(nextCycle, performance.now() + patience());
    update();
  }

  function showProblem(run, why) {
    clearProblem(run);
    const line = make("p", "", fill(texts.run_broken, { title: run.title, why }));
    line.dataset.slug = run.slug;
    problems.append(line);
  }

  function clearProblem(run) {
    for (const line of [...problems.children]) if (line.dataset.slug === run.slug) line.remove();
  }

  // --- what is seen ----------------------------------------------------------------------------
  const date = (run) => new Date(run.recorded).toLocaleDateString(texts.locale, {
    day: "numeric", month: "short", year: "numeric", timeZone: "UTC",
  });

  function makeCard(run) {
    const button = make("button", "bw-run");
    const picture = make("img");
    Object.assign(picture, { src: base + run.thumbnail, alt: "", loading: "lazy" });
    const words = make("span", "bw-run-words");
    const values = {
      setting: settingOf(run.threshold, run.method, { texts, numbers }),
      speedup: numbers.fixed(run.speedup, 2),
      psnr: numbers.decibels(run.psnr_db),
    };
    words.append(
      make("b", "", translated(run.title, texts)),
      make("span", "", fill(texts.run_numbers, values)),
      make("small", "", fill(texts.recorded_on, { date: date(run) })),
    );
    button.type = "button";
    button.title = translated(run.caption, texts);
    button.dataset.slug = run.slug;
    button.append(picture, words);
    button.addEventListener("click", () => {
      show(run);
      panel.bringIntoView();
    });
    return button;
  }

  function makeCards() {
    cards.replaceChildren(...runs.flatMap((run) => {
      try {
        return [makeCard(run)];
      } catch (error) { // one card that cannot be made takes no other along
        console.error(error);
        showProblem(run, texts.run_incomplete);
        return [];
      }
    }));
    for (const run of all) if (run.error) showProblem(run, run.error);
  }

  function update() {
    const isOwn = chosen === null && root.dataset.phase !== "empty";
    box.dataset.shows = chosen ? "recorded" : isOwn ? "own" : "nothing";
    root.toggleAttribute("data-replaying", playing);
    toggle.disabled = !isOwn; // a heading then: the cards are there in any case
    cards.hidden = isOwn && toggle.getAttribute("aria-expanded") !== "true";
    for (const button of cards.children) {
      button.disabled = isBusy();
      button.setAttribute("aria-pressed", String(button.dataset.slug === chosen?.slug));
    }
    for (const button of replay.children) {
      if (button.dataset.replay === "skip") button.hidden = !playing;
      button.disabled = isBusy();
    }
    bar.hidden = !chosen;
    caption.hidden = !chosen;
    if (!chosen) return;
    const where = { hardware: chosen.hardware, date: date(chosen) };
    label.textContent = fill(texts.recorded_where, where);
    const about = translated(chosen.caption, texts);
    caption.replaceChildren(make("q", "", chosen.prompt), ` · ${about}`);
  }

  const replays = {
    real: () => show(chosen, fetched.get(chosen.slug).rows.at(-1).at),
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

  // --- the kiosk -------------------------------------------------------------------------------
  const patience = () => 1000 * (Number(root.dataset.kiosk) || IDLE);
  const postponeCycle = () => { nextCycle = performance.now() + 3 * patience(); };

  function showNext() {
    const next = runs[(runs.indexOf(chosen) + 1) % runs.length];
    if (next && !isBusy()) show(next, motionIsReduced() ? 0 : FAST);
  }

  function cycleWhenIdle() {
    const now = performance.now();
    if (!("kiosk" in root.dataset)) nextCycle = now + patience();
    else if (isBusy()) postponeCycle();
    else if (!playing && now >= nextCycle) {
      nextCycle = now + patience();
      showNext();
    }
  }

  // --- what a visitor finds --------------------------------------------------------------------
  async function showFirst() {
    root.dataset.landing = "";
    const named = runs.filter((run) => run.slug === addressedRecording());
    for (const run of [...named, ...runs]) if (await show(run)) break;
    delete root.dataset.landing;
    update();
    fetchAll();
  }

  // All runs with their videos, so that they play when the network is gone.
  async function fetchAll() {
    if (!location.protocol.startsWith("http") || navigator.connection?.saveData) return;
    for (const run of runs) {
      try {
        const last = (await rowsOf(run)).at(-1).row;
        const shown = ["baseline", "cached", "control", "difference"];
        for (const name of shown.filter((each) => each in last.files)) {
          await fetchAhead(base + last.files[name]);
        }
      } catch { /* it is fetched when it is shown, and said then what is wrong */ }
    }
    root.dataset.fetched = "";
  }

  // Whatever the server sends is a visitor's own run: it stops what is being played.
  function giveWay() {
    if (!hasOwnRows() || props.value[0].k === "refused") return;
    turn += 1;
    playing = false;
    shownIsOwn = true;
    update();
  }

  if (all.length) {
    box.hidden = false;
    makeCards();
    new MutationObserver(() => {
      if (root.dataset.phase === "error") toggle.setAttribute("aria-expanded", "true");
      update();
    }).observe(root, { attributeFilter: ["data-phase"] });
    for (const event of INPUTS) document.addEventListener(event, postponeCycle, { passive: true });
    setInterval(cycleWhenIdle, 500);
    watch("value", giveWay);
    update();
    if (!hasOwnRows() && !addressedRun()) showFirst();
  }

  return {
    begin(state) {
      if (!state.recorded) {
        chosen = null;
        toggle.setAttribute("aria-expanded", "false");
      }
      update();
    },
    relabel() {
      if (!all.length) return;
      makeCards();
      update();
      if (chosen) show(chosen);
    },
  };
}

// A short guided tour: each of its steps points at a part of the panel and says, with this run's
// numbers, what the part shows. Changes nothing in the run.

const BEND = 1.15; // how far both ends stand above the lowest point of a curve called U-shaped

// What each step points at, and the numbers it needs; `text` names its words in the texts.
const TOUR = [
  { name: "step", target: ".bw-race", facts: ({ rows, whole }) => ({ steps: rows.length, per: significant(whole / rows.length, 2) }) },
  { name: "block", target: ".bw-heats", facts: ({ rows, whole }) => ({
    blocks: Math.max(...rows.map((row) => (row.d || []).length)),
    share: Math.round((100 * rows.reduce((sum, row) => sum + row.b, 0)) / whole),
  }) },
  { name: "curve", target: ".bw-chart", paper: true, facts: curveFacts },
  { name: "threshold", target: ".bw-whatif", paper: true, facts: thresholdFacts },
  { name: "reuse", target: ".bw-strips", paper: true, facts: ({ rows, settings, done }) => ({
    interval: intervalSteps(settings.interval, rows.length), reused: done.steps_reused, steps: rows.length,
  }) },
  { name: "saved", target: ".bw-numbers", paper: true, facts: ({ done, method }) => ({
    whole: seconds(done.baseline_seconds), part: seconds(done.cached_seconds), method,
    speedup: done.speedup.toFixed(2), measuring: significant(100 * done.indicator_share, 2),
  }) },
  { name: "differ", target: ".bw-stages", paper: true, facts: ({ done }) => (done.psnr_db === null
    ? { text: "same" } : { psnr: done.psnr_db.toFixed(1), ssim: done.ssim.toFixed(3) }) },
];

function curveFacts({ rows }) {
  const found = rows.filter((row) => row.v > 0);
  if (!found.length) return null;
  const [lowest, ...others] = [...found].sort((a, b) => a.v - b.v);
  const highest = others.pop() || lowest, first = found[0], last = found[found.length - 1];
  const bent = Math.min(first.v, last.v) > BEND * lowest.v;
  return {
    text: bent ? "curve" : "flat",
    first: significant(first.v), last: significant(last.v),
    low: significant(lowest.v), low_step: lowest.i + 1,
    high: significant(highest.v), high_step: highest.i + 1,
  };
}

function thresholdFacts({ rows, settings }) {
  const { trigger } = predictSchedule(rows, settings);
  const starts = reuseStartsAbove(rows, settings);
  if (starts === null) return null;
  const known = { threshold: settings.threshold, starts: significant(starts) };
  return trigger === null ? { ...known, text: "never" }
    : { ...known, trigger: trigger + 1, value: significant(rows[trigger].v) };
}

function createTour({ root, T }) {
  const find = (name) => root.querySelector(`.bw-tour${name}`);
  const [dialog, start, next, back, close] = ["", "-start", "-next", "-back", "-close"].map(find);
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  let stops = [], place = 0, target = null;

  // The steps this run has numbers for.
  function plan(done, state) {
    const { rows } = state.runs.baseline;
    const whole = rows.reduce((sum, row) => sum + row.n, 0);
    const run = { rows, whole, done, settings: state.settings, method: state.method };
    return TOUR.flatMap((stop) => {
      const values = stop.facts(run), text = values?.text || stop.name;
      return values ? [{ ...stop, text, values }] : [];
    });
  }

  function show(at) {
    place = at;
    const { name, text, values, paper, target: selector } = stops[place];
    find("-count").textContent = fill(T.tour_count, { i: place + 1, n: stops.length });
    dialog.querySelector("h3").textContent = T[`tour_${text}_title`] || T[`tour_${name}_title`];
    dialog.querySelector("#bw-tour-text").textContent = fill(T[`tour_${text}`], values);
    find("-paper").hidden = !paper;
    find("-paper").lastElementChild.textContent = T[`tour_${name}_paper`] || "";
    back.disabled = place === 0;
    next.textContent = place === stops.length - 1 ? T.tour_end : T.tour_next;
    point(root.querySelector(selector));
  }

  // Outline a part and bring it into the window's free share, above the dialog.
  function point(part) {
    target?.classList.remove("bw-toured");
    target = part;
    if (!part) return;
    part.classList.add("bw-toured");
    const covered = innerHeight - dialog.getBoundingClientRect().top;
    root.style.setProperty("--tour-room", `${Math.ceil(covered)}px`);
    const tall = part.offsetHeight > innerHeight - covered - 32;
    part.scrollIntoView({ behavior: calm.matches ? "auto" : "smooth", block: tall ? "start" : "center" });
  }

  function open() {
    dialog.hidden = false;
    root.classList.add("bw-touring");
    show(0);
    next.focus({ preventScroll: true });
    document.addEventListener("keydown", onKey, true);
  }

  function end() {
    if (dialog.hidden) return;
    const held = dialog.contains(document.activeElement);
    document.removeEventListener("keydown", onKey, true);
    dialog.hidden = true;
    root.classList.remove("bw-touring");
    point(null);
    if (held) start.focus({ preventScroll: true });
  }

  // Escape closes from anywhere; Tab stays in the dialog.
  function onKey(event) {
    if (event.key === "Escape") {
      event.preventDefault();
      end();
    } else if (event.key === "Tab") {
      const all = [...dialog.querySelectorAll("a, button:enabled")].filter((node) => node.offsetParent);
      const now = all.indexOf(document.activeElement), by = event.shiftKey ? -1 : 1;
      event.preventDefault();
      all[now < 0 ? 0 : (now + by + all.length) % all.length].focus({ preventScroll: true });
    }
  }

  start.addEventListener("click", open);
  close.addEventListener("click", end);
  next.addEventListener("click", () => (place < stops.length - 1 ? show(place + 1) : end()));
  back.addEventListener("click", () => {
    show(place - 1);
    if (back.disabled) next.focus({ preventScroll: true });
  });

  return {
    begin() {
      end();
      stops = [];
      find("-line").hidden = true;
    },
    done(row, state) {
      stops = state.settings ? plan(row, state) : [];
      find("-line").hidden = !stops.length;
    },
  };
}

// The address holds the form's state and which run is shown, always: who loads it anew, on this
// machine or another, finds both again.

export const RUN = "run"; // the id of a visitor's own result
export const RECORDED = "recorded"; // the slug of a recorded run
const PAUSE = 200; // ms: browsers limit how often an address may change

let form = null; // {names, all, values}: what the form holds; null until it has been told
let isReady = false; // whether the address's own settings have reached the form
let isTouched = false; // whether the form has changed since
let shown = {}; // {run} or {recorded}
let timer = 0;
const listeners = [];

const asked = () => new URLSearchParams(location.search);

// What the address asked for when the page was loaded.
const first = asked();
export const addressedRun = () => first.get(RUN);
export const addressedRecording = () => first.get(RECORDED);

// The address with a query that holds these settings.
export function addressOf({ origin, pathname }, names, values) {
  const query = new URLSearchParams();
  names.forEach((name, i) => query.set(name, String(values[i] ?? "")));
  return `${origin}${pathname}?${query}`;
}

// The query without settings and runs: what is left belongs to others, such as the kiosk.
export function bareQuery(query, names) {
  const kept = new URLSearchParams(query);
  for (const name of [...names, RUN, RECORDED]) kept.delete(name);
  return kept;
}

// The query that holds the form's `values` by `names`, of `all` there are, and the run on show.
export function queryOf(query, { names, all, values }, run) {
  const next = bareQuery(query, all);
  names.forEach((name, i) => next.set(name, String(values[i] ?? "")));
  for (const [name, value] of Object.entries(run)) next.set(name, value);
  return next;
}

function write() {
  clearTimeout(timer);
  timer = 0;
  if (!form || !isReady) return;
  const next = `${location.pathname}?${queryOf(location.search, form, shown)}${location.hash}`;
  history.replaceState(history.state, "", next);
}

function writeSoon() {
  timer ||= setTimeout(write, PAUSE);
}

const tell = () => listeners.forEach((listener) => listener());

// What the form holds; `ready` once the address's settings are in it.
export function formChanged({ names, all }, values, ready) {
  const before = JSON.stringify(form?.values);
  form = { names, all, values };
  if (isReady && before !== JSON.stringify(values)) isTouched = true;
  if (ready && !isReady) {
    isReady = true;
    isTouched = names.some((name) => first.has(name));
  }
  writeSoon();
  tell();
}

// Which run is shown: a visitor's own by its id, a recorded one by its slug, or neither.
export function showsRun(run) {
  shown = run;
  write(); // at once: a page may be gone the next moment
}

// The present address, of the kiosk as it was opened.
export function bareAddress() {
  const query = String(bareQuery(location.search, form?.all || []));
  return location.pathname + (query && `?${query}`);
}

// The form's values by name; null while they are not known.
export function formValues() {
  if (!form) return null;
  return Object.fromEntries(form.names.map((name, i) => [name, form.values[i]]));
}

// Whether a visitor, or the address, has asked for settings of their own.
export const formIsTouched = () => isTouched;

export function onFormChange(listener) {
  listeners.push(listener);
}

addEventListener("pagehide", write);

// The texts of a component in the language that Gradio has chosen: the browser's, or the one picked
// in Gradio's settings, which stands in `<html lang>`.

const FALLBACK = "en";
// A language other than the browser's is known to the server by this cookie alone.
const COOKIE = "bwcache_language";

// `{name}` in a text is replaced by the value of that name.
export function fill(text, values = {}) {
  return text.replace(/\{(\w+)\}/g, (whole, key) => (key in values ? values[key] : whole));
}

export function languageAmong(known) {
  const language = document.documentElement.lang.split("-")[0].toLowerCase();
  return known.includes(language) ? language : FALLBACK;
}

// The texts in the present language. When another is chosen, the same object gets its texts,
// then `listener` is called.
export function liveTexts(catalogues, listener) {
  const known = Object.keys(catalogues);
  let language = languageAmong(known);
  const texts = { ...catalogues[language] };
  addEventListener("pagehide", () => { // a page that is loaded again is in the browser's language
    document.cookie = `${COOKIE}=; path=/; SameSite=Lax; max-age=0`;
  });
  new MutationObserver(() => {
    const next = languageAmong(known);
    if (next === language) return;
    language = next;
    document.cookie = `${COOKIE}=${next}; path=/; SameSite=Lax`;
    Object.assign(texts, catalogues[next]);
    listener();
  }).observe(document.documentElement, { attributeFilter: ["lang"] });
  return texts;
}

// Puts the texts into markup that names them: data-text, data-label and data-title.
export function localise(root, texts) {
  root.lang = texts.language;
  for (const node of root.querySelectorAll("[data-text]")) {
    node.textContent = texts[node.dataset.text];
  }
  for (const node of root.querySelectorAll("[data-label]")) {
    node.setAttribute("aria-label", texts[node.dataset.label]);
  }
  for (const node of root.querySelectorAll("[data-title]")) {
    node.title = texts[node.dataset.title];
  }
}

// The visitor's language, chosen as Gradio chooses its own: `?lang=` in the address, else the
// browser's, else English. Before anything else is made, the panel gets that language's markup.

const ADDRESS = new URLSearchParams(location.search);

function languageOf(known) {
  const told = ADDRESS.get("lang"), own = navigator.language || navigator.languages?.[0] || "";
  const base = (tag) => tag.split("-")[0].toLowerCase();
  return [told || "", own].map(base).find((tag) => known.includes(tag)) || "en";
}

// Gradio knows only the browser's language. Where the address says otherwise its own function is
// asked to change, in the module that the page has already loaded.
async function tellGradio(language, known) {
  const own = (navigator.language || "").split("-")[0].toLowerCase();
  if (language === (known.includes(own) ? own : "en")) return;
  const loaded = performance.getEntriesByType("resource").map((entry) => entry.name);
  const core = loaded.find((name) => /\/assets\/core-[\w-]+\.js$/.test(name));
  const module = core && await import(core);
  module?.changeLocale?.(language);
}

function setLanguage(element, props, selector) {
  const language = languageOf(Object.keys(props.texts));
  const markup = props.templates[language];
  if (markup) {
    const made = document.createElement("template");
    made.innerHTML = markup;
    element.querySelector(selector).replaceWith(made.content.querySelector(selector));
  }
  return language;
}

// The rest of the page follows: its marked texts, Gradio's labels, the link to the other language.
function tellPage(language, props) {
  document.documentElement.lang = language;
  document.addEventListener("click", keepAddress);
  tellGradio(language, Object.keys(props.texts)).catch(() => {}); // labels stay in the browser's
}

// The link to the other language keeps the rest of the address.
function keepAddress(event) {
  const link = event.target.closest?.(".bw-languages a");
  if (!link) return;
  const found = new URLSearchParams(location.search);
  found.set("lang", link.hreflang);
  link.href = `${location.pathname}?${found}`;
}

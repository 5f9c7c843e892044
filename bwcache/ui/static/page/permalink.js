// Copies the address that restores the present settings; shows it where copying is not allowed.

import { languageAmong } from "../lib/texts.js";

// The address with a query that holds these settings.
export function addressOf({ origin, pathname }, names, values) {
  const query = new URLSearchParams();
  names.forEach((name, i) => query.set(name, String(values[i] ?? "")));
  return `${origin}${pathname}?${query}`;
}

// `names`: of the settings, in the order of their `values`. `catalogues`: the texts by language.
export async function copyLink({ names, catalogues }, values) {
  const texts = catalogues[languageAmong(Object.keys(catalogues))];
  const link = addressOf(location, names, values);
  const box = document.querySelector("#bw-link .bw-link");
  const field = box.querySelector("input");
  field.value = link;
  field.setAttribute("aria-label", texts.link);
  let copied = false;
  try {
    await navigator.clipboard.writeText(link);
    copied = true;
  } catch { /* no clipboard: an insecure address, or the visitor said no */ }
  box.hidden = false;
  field.hidden = copied;
  box.querySelector("output").textContent = copied ? texts.link_copied : texts.link_by_hand;
  if (!copied) field.select();
}

// Copies the address that restores the present settings; shows it where copying is not allowed.

import { languageAmong } from "../lib/texts.js";
import { RUN, addressOf } from "./address.js";

// `names`: of the settings, in the order of their `values`. `catalogues`: the texts by language.
// A result of one's own that is on show is part of the link, for as long as it is kept.
export async function copyLink({ names, catalogues }, values) {
  const texts = catalogues[languageAmong(Object.keys(catalogues))];
  const run = new URLSearchParams(location.search).get(RUN);
  const link = addressOf(location, run ? [...names, RUN] : names, run ? [...values, run] : values);
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

// A refusal at the field that it is about, one at a time, until the form changes.

import { make } from "../lib/elements.js";
import { onFormChange } from "./address.js";

const LINE = "bw-refusal";

export function clear() {
  document.querySelectorAll(`.${LINE}`).forEach((line) => line.remove());
  document.querySelectorAll("#bw-form [aria-invalid]").forEach((node) => {
    node.removeAttribute("aria-invalid");
    node.removeAttribute("aria-describedby");
  });
}

// A field in a closed section is not in the page before that is open.
async function fieldOf(name) {
  const find = () => document.querySelector(`#bw-${name}, #bw-find-${name}`);
  const isSeen = () => find()?.getClientRects().length > 0;
  if (!isSeen()) {
    document.querySelector("#bw-advanced .label-wrap:not(.open)")?.click();
    await new Promise((resolve) => { setTimeout(resolve, 300); });
  }
  return isSeen() ? find() : document.getElementById("bw-buttons");
}

// A line of text below a field, in place of any other.
export function say(place, text) {
  clear();
  const line = make("p", LINE, text);
  line.setAttribute("role", "alert");
  line.id = LINE;
  place.after(line);
  return line;
}

// Says a refusal at its field, and puts the cursor there.
export async function showRefusal({ field, text }) {
  const place = await fieldOf(field);
  const line = say(place, text);
  const input = place.querySelector("input, textarea");
  input?.setAttribute("aria-invalid", "true");
  input?.setAttribute("aria-describedby", LINE);
  input?.focus();
  line.scrollIntoView({ block: "nearest" });
}

export function createRefusal() {
  onFormChange(clear);
  return {
    message(row) {
      clear();
      if (row.k === "refused") showRefusal(row);
    },
  };
}

async (known, values) => {
  // Copies the address that restores the present settings; shows it where copying is not allowed.
  // `known`: the settings' names and, by language, the texts. Settings come as `values`.
  const texts = known.texts[document.documentElement.lang] || known.texts.en;
  const found = new URLSearchParams();
  known.names.forEach((name, i) => found.set(name, String(values[i] ?? "")));
  const link = `${location.origin}${location.pathname}?${found}`;
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
  box.querySelector("output").textContent = copied ? texts.copied : texts.by_hand;
  if (!copied) field.select();
}

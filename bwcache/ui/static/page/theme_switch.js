// The header's switch between light and dark. What was chosen is remembered in this browser.

const KEY = "bwcache_theme";

export function startThemeSwitch() {
  const apply = (dark) => {
    document.body.classList.toggle("dark", dark);
    document.documentElement.style.colorScheme = dark ? "dark" : "light";
  };
  let chosen = null;
  try {
    chosen = localStorage.getItem(KEY);
  } catch { /* storage is barred: the system's look it is */ }
  if (chosen) apply(chosen === "dark");
  document.addEventListener("click", ({ target }) => {
    if (!target.closest?.(".bw-theme-switch")) return;
    const dark = !document.body.classList.contains("dark");
    apply(dark);
    try {
      localStorage.setItem(KEY, dark ? "dark" : "light");
    } catch { /* for this visit alone */ }
  });
}

// How a method's line looks: a symbol each tells them apart without colours, too.

const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "triangle-down", "cross", "hexagon"];
const HUES = ["#4269d0", "#e08c1a", "#d6604d", "#8c6bb1", "#3a9dc4", "#b0703c", "#97733a"];

// Of each family `{n, ours}` its `symbol`, and its `kind`: "ours" and "uncached" have one hue each,
// all others theirs (`hue`). Numbered by kind, so that where hues are alike symbols differ.
export function looksOf(families) {
  const drawn = { ours: 0, uncached: 0, other: 0 };
  return families.map(({ n, ours }) => {
    const isUncached = n.startsWith("uncached/");
    const kind = ours ? "ours" : isUncached ? "uncached" : "other";
    const at = drawn[kind];
    drawn[kind] += 1;
    const round = Math.floor(at / SYMBOLS.length); // the next symbol for a hue that comes again
    const symbol = SYMBOLS[(at + round) % SYMBOLS.length];
    return {
      kind,
      symbol: isUncached ? `${symbol}-open` : symbol,
      hue: kind === "other" ? HUES[at % HUES.length] : null,
    };
  });
}

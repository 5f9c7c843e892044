// Numbers as they are written in the reader's language: 0.045 in English, 0,045 in German.

const MISSING = "–";

// `texts.locale` is looked at anew each time: the language may change.
export function createNumbers(texts) {
  const known = new Map(); // "locale digits" → formatter: making one is slow

  function formatter(kind, digits) {
    const key = `${texts.locale} ${kind} ${digits}`;
    if (!known.has(key)) {
      const options = kind === "fixed"
        ? { minimumFractionDigits: digits, maximumFractionDigits: digits }
        : { maximumSignificantDigits: digits };
      known.set(key, new Intl.NumberFormat(texts.locale, { useGrouping: false, ...options }));
    }
    return known.get(key);
  }

  const isMissing = (value) => value === null || value === undefined;
  const fixed = (value, digits) => (isMissing(value)
    ? MISSING : formatter("fixed", digits).format(value));
  const significant = (value, digits = 3) => (isMissing(value)
    ? MISSING : formatter("significant", digits).format(value));

  return {
    fixed,
    significant,
    // As `bwcache/runs/rounding.py` has it: the verdict says the same numbers in a sentence.
    seconds: (value) => fixed(value, Math.abs(value) < 1 ? 2 : 1),
    decibels: (value) => (value === null ? texts.identical : `${fixed(value, 1)} dB`),
    // Of less than a hundredth of a per cent only rounding is left.
    percent: (share) => (isMissing(share)
      ? MISSING : significant(Math.round(1e4 * share) / 100, 2)),
    // As Plotly wants them: the decimal sign, then the one between thousands.
    separators: () => (fixed(0.5, 1).includes(",") ? ",." : ".,"),
  };
}

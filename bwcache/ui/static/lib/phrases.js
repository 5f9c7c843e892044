// What other parts of the program say in English, in the reader's language. `texts.phrases`:
// English templates and how they are said there. What has no template stays English.

const NUMBER = /^[-+]?\d+(\.\d+)?(e[-+]?\d+)?$/;
const known = new WeakMap(); // templates → [pattern, names, template]

function patternsOf(phrases) {
  if (!known.has(phrases)) {
    known.set(phrases, Object.entries(phrases).map(([english, other]) => {
      const parts = english.split(/\{(\w+)\}/);
      const pattern = parts.map((part, at) => (
        at % 2 ? "([^]+?)" : part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")
      )).join("");
      return [new RegExp(`^${pattern}$`), parts.filter((_, at) => at % 2), other];
    }));
  }
  return known.get(phrases);
}

export function translated(text, texts) {
  const phrases = texts.phrases || {};
  if (!text) return text;
  if (Object.hasOwn(phrases, text)) return phrases[text];
  for (const [pattern, names, other] of patternsOf(phrases)) {
    const found = pattern.exec(text);
    if (found) {
      return other.replace(/\{(\w+)\}/g, (_, name) => {
        const value = found[1 + names.indexOf(name)];
        return NUMBER.test(value)
          ? value.replace(".", texts.decimal_sign) : translated(value, texts);
      });
    }
  }
  if (!text.endsWith(".")) return text;
  const part = text.slice(0, -1); // known as a part of other sentences
  const said = translated(part, texts);
  return said === part ? text : `${said}.`;
}

// Making elements and reading the theme's colours.

const SVG = "http://www.w3.org/2000/svg";

export function make(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

// An icon of 24 by 24 units, hidden from assistive technology: its button has a label.
export function icon(...paths) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  for (const d of paths) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", d);
    svg.append(path);
  }
  return svg;
}

// The value of one of the panel's CSS variables, such as "--ink".
export function cssVariable(root, name) {
  return getComputedStyle(root).getPropertyValue(name).trim();
}

// Gradio switches between light and dark by a class of the body.
export function onThemeChange(listener) {
  new MutationObserver(listener).observe(document.body, { attributeFilter: ["class"] });
}

export function motionIsReduced() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}

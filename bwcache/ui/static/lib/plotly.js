// Plotly is two thirds of what the page weighs: it is fetched once, when a chart is first in sight.

let loading = null;

export function loadPlotly(url) {
  loading ??= new Promise((resolve, reject) => {
    if (window.Plotly) {
      resolve(window.Plotly);
      return;
    }
    const tag = document.createElement("script");
    tag.src = url;
    tag.onload = () => resolve(window.Plotly);
    tag.onerror = () => {
      loading = null; // tried again at the next drawing
      reject(new Error(`${url} cannot be loaded`));
    };
    document.head.append(tag);
  });
  return loading;
}

const NEARBY = "100px"; // below the window, so that a chart is there when it is scrolled to

// Calls `draw(Plotly)` whenever asked to, from when `node` is first in sight. What a drawing needs
// is read when it is made, so that only the last state is drawn.
export function whenInSight(node, url, draw) {
  let seen = false;
  const drawNow = async () => {
    if (!seen) return;
    try {
      await draw(await loadPlotly(url));
    } catch (error) {
      node.textContent = "";
      console.warn(error);
    }
  };
  new IntersectionObserver((entries, observer) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    seen = true;
    drawNow();
  }, { rootMargin: NEARBY }).observe(node);
  return drawNow;
}

// What all charts share: no buttons, no zoom by the wheel, the width that there is.
export const PLAIN = { displayModeBar: false, responsive: true, scrollZoom: false };

// The part of a layout that the theme and the language decide.
export function themed(colour, numbers) {
  return {
    paper_bgcolor: "transparent",
    plot_bgcolor: "transparent",
    font: {
      family: "system-ui, sans-serif", size: parseFloat(colour("--chart-font")) || 12,
      color: colour("--ink-2"),
    },
    hoverlabel: {
      bgcolor: colour("--card"),
      bordercolor: colour("--line"),
      font: { color: colour("--ink") },
    },
    separators: numbers.separators(),
  };
}

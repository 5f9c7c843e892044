// The three views over steps: indicator curve, letters, heat map. They share one x axis: a column
// is a step in each of them. They read the state that the panel keeps; they change nothing in it.

import { cssVariable, onThemeChange } from "../lib/elements.js";
import { createHeatMap } from "./heat_map.js";
import { createIndicatorCurve } from "./indicator_curve.js";
import { createStepLetters } from "./step_letters.js";

export function createCharts(panel) {
  const { root } = panel;
  const colour = (name) => cssVariable(root, name);
  const gutter = () => [parseFloat(colour("--left")), parseFloat(colour("--right"))];
  const context = { ...panel, colour, gutter };
  const curve = createIndicatorCurve(context);
  const letters = createStepLetters(context);
  const heatMap = createHeatMap(context, redraw);
  let state = null;

  function draw(next) {
    state = next;
    if (!root.clientWidth) return;
    letters.draw(state);
    heatMap.draw(state);
    curve.draw(state);
  }

  function redraw() {
    if (state) draw(state);
  }

  onThemeChange(redraw);
  return {
    draw,
    // {threshold, letters} of what another threshold would do, in the run's place; null: the run's.
    preview: curve.preview,
    reset() {
      curve.reset();
      letters.reset();
      heatMap.reset();
    },
  };
}

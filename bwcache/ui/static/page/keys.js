// Keys. Enter in the prompt, and Ctrl+Enter anywhere, start a run. On the stage there are single
// keys, too; elsewhere none, since they would surprise whoever speaks to a computer.

import { isOnStage } from "../panel/on_stage.js";

const OWN_KEYS = "input, textarea, select, button, a, summary, [role=slider], [role=dialog]";
const TYPED_IN = "input, textarea, select, [role=dialog]"; // a button leaves letters alone

// What a key does on the stage; null where it does nothing.
export function actionOf(key) {
  const views = ["side", "wipe", "difference", "blind"];
  const view = views[Number(key) - 1];
  if (view) return { name: "view", view };
  const names = {
    g: "generate", s: "stop", " ": "play", ArrowLeft: "back", ArrowRight: "forward",
    f: "fullscreen", t: "theme",
  };
  const name = names[key.length === 1 ? key.toLowerCase() : key];
  return name ? { name } : null;
}

export function startKeys({ root }) {
  const press = (selector) => document.querySelector(selector)?.click();
  const inPanel = (selector) => root.querySelector(selector)?.click();
  const start = () => press("#bw-buttons button.primary");
  const transport = (name) => {
    if (!root.querySelector(".bw-transport").hidden) inPanel(`.bw-${name}`);
  };
  const actions = {
    generate: start,
    stop: () => press("#bw-buttons button.secondary"),
    play: () => transport("play"),
    back: () => transport("back"),
    forward: () => transport("forward"),
    view: ({ view }) => inPanel(`.bw-switch [data-view=${view}]`),
    theme: () => press(".bw-theme-switch"),
    fullscreen: () => {
      const now = document.fullscreenElement
        ? document.exitFullscreen() : document.documentElement.requestFullscreen();
      now.catch(() => {}); // a frame around the page may not allow it
    },
  };

  function startsRun({ key, target, shiftKey, ctrlKey, metaKey, isComposing }) {
    if (key !== "Enter" || isComposing) return false;
    return ctrlKey || metaKey || (!shiftKey && target.matches?.("#bw-prompt textarea"));
  }

  // In the capturing phase: Gradio's own handlers would put a new line into the prompt.
  document.addEventListener("keydown", (event) => {
    if (startsRun(event)) {
      event.preventDefault();
      event.stopPropagation();
      start();
      return;
    }
    if (!isOnStage() || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    const action = actionOf(event.key);
    if (!action) return;
    const isLetter = event.key.length === 1 && event.key !== " ";
    if (event.target.closest?.(isLetter ? TYPED_IN : OWN_KEYS)) return;
    event.preventDefault();
    actions[action.name](action);
  }, true);
}

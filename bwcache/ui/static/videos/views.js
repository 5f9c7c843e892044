// Ways to look at the two videos: side by side, wipe, difference. Another run puts them side by
// side again, until both videos are finished. The blind test is blind.js, the curve frames.js.

import { localAddress } from "../lib/fetched.js";
import { make } from "../lib/elements.js";
import { fill } from "../lib/texts.js";
import { createBlindTest } from "./blind.js";
import { createFrameCurves } from "./frames.js";
import { makeVideo } from "./player.js";

const FINISHED = ["done", "nothing"]; // phases in which there are two videos to look at

export function createViews(panel) {
  const { root, texts, numbers, base, player, runName } = panel;
  const find = (name) => root.querySelector(name);
  const [choice, wipe, legend] = [".bw-switch", ".bw-wipe", ".bw-legend"].map(find);
  const buttons = [...choice.querySelectorAll("button")];
  const divider = wipe.querySelector("input");
  find(".bw-theatre").prepend(choice);
  find(".bw-stages").after(legend, find(".bw-blind"));
  const [blindTest, frameCurves] = [createBlindTest(panel), createFrameCurves(panel)];
  let files = {};
  let gain = 1; // how much the difference video is amplified
  let alike = false; // whether the two videos are identical in every pixel
  let difference = null; // its video

  function open(view) {
    root.dataset.view = view;
    for (const button of buttons) {
      button.setAttribute("aria-pressed", String(button.dataset.view === view));
    }
    wipe.hidden = view !== "wipe";
    legend.hidden = view !== "difference";
    if (view === "wipe") showWipe();
    if (view === "difference") showDifference();
    else if (difference) player.leave(difference);
    if (view === "blind") blindTest.open(alike);
    else blindTest.close();
  }

  function offer() {
    const ready = FINISHED.includes(root.dataset.phase);
    for (const button of buttons.slice(1)) {
      button.disabled = !ready || (button.dataset.view === "difference" && !files.difference);
      button.title = ready ? "" : texts.view_later;
    }
    if (!ready) open("side");
  }

  // The divider's place is a share of the picture's width; the range lies on top of the picture.
  function showWipe() {
    const names = { left: runName("baseline"), right: runName("cached") };
    const [left, right] = wipe.querySelectorAll(".bw-tag");
    left.textContent = names.left;
    right.textContent = names.right;
    divider.setAttribute("aria-label", fill(texts.wipe_label, names));
    player.stage("cached").querySelector(".bw-screen").append(wipe);
    placeDivider();
  }

  function placeDivider() {
    const share = Number(divider.value);
    find(".bw-stages").style.setProperty("--wipe", `${share}%`);
    const names = { left: runName("baseline"), right: runName("cached") };
    const values = { ...names, share, remaining: 100 - share };
    divider.setAttribute("aria-valuetext", fill(texts.wipe_value, values));
  }

  // Its video is fetched when it is first looked at, and pauses when it is not.
  function showDifference() {
    difference ??= addDifference();
    const percent = (share) => `${numbers.percent(share)} %`;
    find(".bw-gain").textContent = fill(texts.difference_gain, { gain });
    find(".bw-legend-note").textContent = alike ? texts.all_alike : texts.difference_note;
    find(".bw-legend-mid").textContent = percent(0.5 / gain);
    find(".bw-legend-end").textContent = gain > 1
      ? fill(texts.and_more, { value: percent(1 / gain) }) : percent(1);
    player.join(difference);
  }

  function addDifference() {
    const figure = make("figure", "bw-stage has-video");
    figure.dataset.run = "difference";
    const caption = make("figcaption");
    caption.append(
      make("span", "bw-name", texts.view_difference),
      make("small", "bw-note", fill(texts.gain, { gain })),
    );
    const screen = make("div", "bw-screen");
    const alt = fill(texts.difference_alt, { gain });
    const video = makeVideo(localAddress(base + files.difference), alt);
    screen.append(video);
    figure.append(caption, screen);
    find(".bw-stages").append(figure);
    return video;
  }

  for (const button of buttons) button.addEventListener("click", () => open(button.dataset.view));
  divider.addEventListener("input", placeDivider);
  new MutationObserver(offer).observe(root, { attributeFilter: ["data-phase"] });
  open("side");

  return {
    begin() {
      files = {};
      gain = 1;
      alike = false;
      difference = null; // player.js has emptied the stages
      divider.value = 50;
      offer();
      open("side");
      frameCurves.reset();
    },
    row(row) {
      if (row.k !== "frames") return;
      gain = row.gain;
      frameCurves.add(row);
    },
    done(row) {
      files = row.files;
      alike = row.identical;
      offer();
      frameCurves.done(row);
    },
  };
}

// The stages side by side, and one transport for all their videos. Knows nothing of caching.

import { icon, make, motionIsReduced } from "../lib/elements.js";
import { fill } from "../lib/texts.js";

const ICONS = {
  play: ["M8 5v14l11-7z"],
  pause: ["M6 5h4v14H6z", "M14 5h4v14h-4z"],
  restart: ["M6 5h3v14H6z", "M19 5v14l-9-7z"],
  back: ["M15 6v12l-7-6z"],
  forward: ["M9 6v12l7-6z"],
};
const DRIFT = 0.015; // seconds that two videos may be apart before the follower is nudged
const JUMP = 0.12; // beyond this it is set rather than nudged
const MOST_NUDGE = 0.3; // of the playback rate

// `runName(run)`: what a run is called.
export function createPlayer(root, texts, runName) {
  const find = (name) => root.querySelector(name);
  const [stages, transport] = [find(".bw-stages"), find(".bw-transport")];
  const [playButton, seekRange, frameText] = [".bw-play", ".bw-seek", ".bw-frame"].map(find);
  let shown = new Map(); // run → {figure, screen, picture, time, note, video}
  const companions = new Set(); // videos outside the runs' stages that play along
  const frameListeners = [];
  let fps = 8;
  let frames = 1;
  let generation = 0; // counts the runs shown: what belongs to an earlier one gives up
  let shownFrame = -1;
  let running = false; // whether it is meant to play: who seeks to the last frame has "ended", too

  const ofStages = () => [...shown.values()].map((stage) => stage.video).filter(Boolean);
  const videos = () => [...ofStages(), ...companions];
  const leader = () => videos()[0];
  const within = (frame) => Math.min(Math.max(frame, 0), frames - 1);
  const frameAt = (time) => within(Math.floor(time * fps + 1e-3));

  function reset(runs, options) {
    generation += 1;
    ({ fps, frames } = options);
    pause();
    shown = new Map();
    companions.clear();
    stages.replaceChildren();
    stages.style.setProperty("--aspect", options.aspect);
    stages.dataset.count = runs.length;
    transport.hidden = true;
    shownFrame = -1;
    seekRange.max = frames - 1;
    for (const run of runs) shown.set(run, makeStage(run));
  }

  function makeStage(run) {
    const figure = make("figure", "bw-stage");
    figure.dataset.run = run;
    const caption = make("figcaption");
    const time = make("b", "bw-time");
    const note = make("small", "bw-note", texts.waiting);
    caption.append(make("span", "bw-name", runName(run)), time, note);
    const screen = make("div", "bw-screen");
    const picture = make("img");
    picture.alt = fill(texts.preview_alt, { run: runName(run) });
    picture.hidden = true;
    screen.append(picture);
    figure.append(caption, screen);
    stages.append(figure);
    return { figure, screen, picture, time, note, video: null };
  }

  function label(run, seconds, note) {
    const stage = shown.get(run);
    if (!stage) return;
    if (seconds !== null) stage.time.textContent = seconds;
    stage.note.textContent = note;
    stage.note.hidden = !note;
  }

  function preview(run, base64) {
    const stage = shown.get(run);
    if (!stage) return;
    stage.picture.src = `data:image/webp;base64,${base64}`;
    stage.picture.hidden = false;
  }

  function load(run, url) {
    const stage = shown.get(run);
    if (!stage) return;
    const video = makeVideo(url, fill(texts.video_alt, { run: runName(run) }));
    video.addEventListener("play", showState);
    video.addEventListener("pause", showState);
    stage.video = video;
    stage.screen.append(video);
  }

  // All videos start together, once each can show its first frame.
  async function begin() {
    const mine = generation;
    await Promise.all(videos().map(firstFrame));
    if (mine !== generation) return;
    for (const stage of shown.values()) stage.figure.classList.toggle("has-video", !!stage.video);
    transport.hidden = false;
    showFrame();
    if (!motionIsReduced()) play();
    requestAnimationFrame(() => follow(mine));
  }

  function play() {
    if (!leader()) return;
    running = true;
    if (leader().ended) jump(0);
    videos().forEach((video) => video.play().catch(() => {}));
  }

  // Says whether they played.
  function pause() {
    const played = running;
    running = false;
    videos().forEach((video) => video.pause());
    return played;
  }

  function jump(frame) {
    const time = (within(frame) + 0.5) / fps;
    videos().forEach((video) => {
      video.playbackRate = 1;
      video.currentTime = time;
    });
    showFrame(frame);
  }

  // Every picture: loop all together, and keep the followers with the leader.
  function follow(mine) {
    if (mine !== generation) return;
    const lead = leader();
    if (lead && lead.ended && running) {
      jump(0);
      play();
    } else if (lead && !lead.paused) {
      for (const video of videos().slice(1)) keepWith(lead, video);
      showFrame();
    }
    requestAnimationFrame(() => follow(mine));
  }

  function keepWith(lead, video) {
    if (video.seeking || lead.seeking || video.ended) return;
    const ahead = video.currentTime - lead.currentTime;
    if (Math.abs(ahead) > JUMP) video.currentTime = lead.currentTime;
    const nudge = Math.max(-MOST_NUDGE, Math.min(MOST_NUDGE, ahead * 4));
    video.playbackRate = Math.abs(ahead) > DRIFT ? 1 - nudge : 1;
    if (video.paused) video.play().catch(() => {});
  }

  function showFrame(frame = frameAt(leader().currentTime)) {
    const next = within(frame);
    if (next === shownFrame) return;
    shownFrame = next;
    seekRange.value = next;
    frameText.textContent = fill(texts.frame, { i: next + 1, n: frames });
    seekRange.setAttribute("aria-valuetext", frameText.textContent);
    frameListeners.forEach((listener) => listener(next));
  }

  function showState() {
    const playing = leader() && !leader().paused;
    playButton.replaceChildren(icon(...(playing ? ICONS.pause : ICONS.play)));
    playButton.setAttribute("aria-label", playing ? texts.pause : texts.play);
    playButton.title = playing ? texts.pause : texts.play;
  }

  function seek(frame) {
    pause();
    jump(frame);
  }

  // A video beside those of the runs plays along from here on, until it leaves.
  function join(video) {
    companions.add(video);
    if (!leader()) return;
    video.currentTime = leader().currentTime;
    if (!leader().paused) video.play().catch(() => {});
  }

  function leave(video) {
    companions.delete(video);
    video.pause();
  }

  const stepBy = (count) => seek(frameAt(leader().currentTime) + count);
  const actions = {
    restart: () => {
      jump(0);
      play();
    },
    back: () => stepBy(-1),
    forward: () => stepBy(1),
  };
  for (const [name, act] of Object.entries(actions)) {
    const button = find(`.bw-${name}`);
    button.append(icon(...ICONS[name]));
    button.addEventListener("click", act);
  }
  playButton.addEventListener("click", () => (leader()?.paused ? play() : pause()));
  seekRange.addEventListener("input", () => seek(Number(seekRange.value)));
  showState();

  return {
    reset,
    label,
    preview,
    load,
    begin,
    play,
    pause,
    seek,
    join,
    leave,
    showState,
    stage: (run) => shown.get(run)?.figure,
    onFrame: (listener) => frameListeners.push(listener),
  };
}

// A silent video that waits to be played.
export function makeVideo(url, label) {
  const video = make("video");
  Object.assign(video, { muted: true, playsInline: true, preload: "auto", src: url });
  video.setAttribute("aria-label", label);
  return video;
}

function firstFrame(video) {
  if (video.readyState >= 2) return null;
  return new Promise((resolve) => {
    video.addEventListener("loadeddata", resolve, { once: true });
    video.addEventListener("error", resolve, { once: true });
  });
}

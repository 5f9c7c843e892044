// The stages side by side, and one transport for all their videos. Knows nothing of caching.

const ICONS = {
  play: ["M8 5v14l11-7z"],
  pause: ["M6 5h4v14H6z", "M14 5h4v14h-4z"],
  restart: ["M6 5h3v14H6z", "M19 5v14l-9-7z"],
  back: ["M15 6v12l-7-6z"],
  forward: ["M9 6v12l7-6z"],
};
const DRIFT = 0.015; // seconds that two videos may be apart before the follower is nudged
const JUMP = 0.12; // beyond this it is set rather than nudged

function createPlayer(root, T) {
  const find = (name) => root.querySelector(name);
  const [stages, transport] = [find(".bw-stages"), find(".bw-transport")];
  const [playButton, seek, frameText] = [find(".bw-play"), find(".bw-seek"), find(".bw-frame")];
  let shown = new Map(); // run → {figure, picture, video, time, note}
  const guests = new Set(); // videos outside the runs' stages that play along
  const listeners = []; // told of every new frame
  let fps = 8, frames = 1, generation = 0, shownFrame = -1;
  let running = false; // whether it is meant to play: who seeks to the last frame has "ended", too

  const videos = () => [...[...shown.values()].map((stage) => stage.video).filter(Boolean), ...guests];
  const leader = () => videos()[0];
  const frameAt = (time) => Math.min(Math.max(Math.floor(time * fps + 1e-3), 0), frames - 1);

  function reset(runs, options) {
    generation += 1;
    ({ fps, frames } = options);
    pause();
    shown = new Map();
    guests.clear();
    stages.replaceChildren();
    stages.style.setProperty("--aspect", options.aspect);
    stages.dataset.count = runs.length;
    transport.hidden = true;
    shownFrame = -1;
    seek.max = frames - 1;
    for (const run of runs) {
      const figure = make("figure", "bw-stage");
      figure.dataset.run = run;
      const caption = make("figcaption");
      const [time, note] = [make("b", "bw-time"), make("small", "bw-note", T.waiting)];
      caption.append(make("span", "bw-name", T[run]), time, note);
      const screen = make("div", "bw-screen");
      const picture = make("img");
      picture.alt = fill(T.preview_alt, { run: T[run] });
      picture.hidden = true;
      screen.append(picture);
      figure.append(caption, screen);
      stages.append(figure);
      shown.set(run, { figure, screen, picture, time, note, video: null });
    }
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
    const video = make("video");
    Object.assign(video, { muted: true, playsInline: true, preload: "auto", src: url });
    video.setAttribute("aria-label", fill(T.video_alt, { run: T[run] }));
    video.addEventListener("play", showState);
    video.addEventListener("pause", showState);
    stage.video = video;
    stage.screen.append(video);
  }

  // All videos start together, once each can show its first frame.
  async function begin() {
    const mine = generation;
    const ready = (video) => video.readyState >= 2 ? null : new Promise((resolve) => {
      video.addEventListener("loadeddata", resolve, { once: true });
      video.addEventListener("error", resolve, { once: true });
    });
    await Promise.all(videos().map(ready));
    if (mine !== generation) return;
    for (const stage of shown.values()) stage.figure.classList.toggle("has-video", !!stage.video);
    transport.hidden = false;
    showFrame();
    if (!matchMedia("(prefers-reduced-motion: reduce)").matches) play();
    requestAnimationFrame(() => follow(mine));
  }

  function play() {
    if (!leader()) return;
    running = true;
    if (leader().ended) jump(0);
    videos().forEach((video) => video.play().catch(() => {}));
  }

  function pause() {
    running = false;
    videos().forEach((video) => video.pause());
  }

  function jump(frame) {
    const at = (Math.min(Math.max(frame, 0), frames - 1) + 0.5) / fps;
    videos().forEach((video) => {
      video.playbackRate = 1;
      video.currentTime = at;
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
      for (const video of videos().slice(1)) {
        const apart = video.currentTime - lead.currentTime;
        if (video.seeking || lead.seeking || video.ended) continue;
        if (Math.abs(apart) > JUMP) video.currentTime = lead.currentTime;
        video.playbackRate = Math.abs(apart) > DRIFT ? 1 - Math.max(-0.3, Math.min(0.3, apart * 4)) : 1;
        if (video.paused) video.play().catch(() => {});
      }
      showFrame();
    }
    requestAnimationFrame(() => follow(mine));
  }

  function showFrame(frame = frameAt(leader().currentTime)) {
    const at = Math.min(Math.max(frame, 0), frames - 1);
    if (at === shownFrame) return;
    shownFrame = at;
    seek.value = at;
    frameText.textContent = fill(T.frame, { i: at + 1, n: frames });
    seek.setAttribute("aria-valuetext", frameText.textContent);
    listeners.forEach((listener) => listener(at));
  }

  function showState() {
    const playing = leader() && !leader().paused;
    playButton.replaceChildren(icon(...(playing ? ICONS.pause : ICONS.play)));
    playButton.setAttribute("aria-label", playing ? T.pause : T.play);
    playButton.title = playing ? T.pause : T.play;
  }

  function seekTo(frame) {
    pause();
    jump(frame);
  }

  // A video beside those of the runs plays along from here on, until it leaves.
  function join(video) {
    guests.add(video);
    if (!leader()) return;
    video.currentTime = leader().currentTime;
    if (!leader().paused) video.play().catch(() => {});
  }

  function leave(video) {
    guests.delete(video);
    video.pause();
  }

  const step = (by) => seekTo(frameAt(leader().currentTime) + by);
  const buttons = {
    restart: () => { jump(0); play(); },
    back: () => step(-1),
    forward: () => step(1),
  };
  for (const [name, act] of Object.entries(buttons)) {
    const button = find(`.bw-${name}`);
    button.append(icon(...ICONS[name]));
    button.addEventListener("click", act);
  }
  playButton.addEventListener("click", () => (leader()?.paused ? play() : pause()));
  seek.addEventListener("input", () => seekTo(Number(seek.value)));
  showState();
  const stage = (run) => shown.get(run)?.figure;
  const onFrame = (listener) => listeners.push(listener);
  return { reset, label, preview, load, begin, stage, seek: seekTo, onFrame, join, leave };
}

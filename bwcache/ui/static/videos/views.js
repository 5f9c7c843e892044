// Ways to look at the two videos: side by side, wipe, difference. Another run puts them side by
// side again, until both videos are finished. The blind test is blind.js, the curve frames.js.

function createViews(panel) {
  const decided = ["done", "nothing"]; // phases in which there are two videos to look at
  const { root, T, base, player } = panel;
  const at = (name) => root.querySelector(name);
  const [choice, wipe, legend] = [".bw-switch", ".bw-wipe", ".bw-legend"].map(at);
  const buttons = [...choice.querySelectorAll("button")];
  const divider = wipe.querySelector("input");
  at(".bw-theatre").prepend(choice);
  at(".bw-stages").after(legend, at(".bw-blind"));
  const [blind, frames] = [createBlind(panel), createFrames(panel)];
  let files = {}, gain = 1, alike = false, third = null; // `third`: the difference's video

  function look(view) {
    root.dataset.view = view;
    for (const button of buttons) {
      button.setAttribute("aria-pressed", String(button.dataset.view === view));
    }
    wipe.hidden = view !== "wipe";
    legend.hidden = view !== "difference";
    if (view === "wipe") showWipe();
    if (view === "difference") showDifference();
    else if (third) player.leave(third);
    if (view === "blind") blind.open(alike);
    else blind.close();
  }

  function offer() {
    const ready = decided.includes(root.dataset.phase);
    for (const button of buttons.slice(1)) {
      button.disabled = !ready || (button.dataset.view === "difference" && !files.difference);
      button.title = ready ? "" : T.view_later;
    }
    if (!ready) look("side");
  }

  // The divider's place is a share of the picture's width; the range lies on top of the picture.
  function showWipe() {
    const [left, right] = wipe.querySelectorAll(".bw-tag");
    left.textContent = T.baseline;
    right.textContent = T.cached;
    divider.setAttribute("aria-label", fill(T.wipe_label, { left: T.baseline, right: T.cached }));
    player.stage("cached").querySelector(".bw-screen").append(wipe);
    place();
  }

  function place() {
    const share = Number(divider.value);
    at(".bw-stages").style.setProperty("--wipe", `${share}%`);
    const text = { left: T.baseline, right: T.cached, share, rest: 100 - share };
    divider.setAttribute("aria-valuetext", fill(T.wipe_value, text));
  }

  // Its video is fetched when it is first looked at, and rests when it is not.
  function showDifference() {
    if (!third) {
      const figure = make("figure", "bw-stage has-video");
      figure.dataset.run = "difference";
      const [caption, screen] = [make("figcaption"), make("div", "bw-screen")];
      caption.append(make("span", "bw-name", T.view_difference), make("small", "bw-note", fill(T.gain, { gain })));
      third = make("video");
      Object.assign(third, { muted: true, playsInline: true, preload: "auto", src: base + files.difference });
      third.setAttribute("aria-label", fill(T.difference_alt, { gain }));
      screen.append(third);
      figure.append(caption, screen);
      at(".bw-stages").append(figure);
    }
    at(".bw-gain").textContent = fill(T.difference_gain, { gain });
    at(".bw-legend-note").textContent = alike ? T.all_alike : T.difference_note;
    at(".bw-legend-mid").textContent = percent(0.5 / gain);
    at(".bw-legend-end").textContent = gain > 1 ? fill(T.and_more, { value: percent(1 / gain) }) : percent(1);
    player.join(third);
  }

  const percent = (share) => `${significant(100 * share, 2)} %`;

  for (const button of buttons) button.addEventListener("click", () => look(button.dataset.view));
  divider.addEventListener("input", place);
  new MutationObserver(offer).observe(root, { attributeFilter: ["data-phase"] });
  look("side");

  return {
    begin() {
      [files, gain, alike, third] = [{}, 1, false, null]; // player.js has emptied the stages
      divider.value = 50;
      offer();
      look("side");
      frames.reset();
    },
    row(row) {
      if (row.k !== "frames") return;
      gain = row.gain;
      frames.take(row);
    },
    done(row) {
      files = row.files;
      alike = row.identical;
      offer();
      frames.done(row);
    },
    draw: () => frames.draw(),
  };
}

// The curve over frames: PSNR above SSIM, one x axis, drawn as SVG. It is a slider: a click or a
// key seeks the players, and their frame is marked. Identical frames have no PSNR; they say "=".

function createFrames({ root, T, player }) {
  const BAND = 84, HEAD = 20, FOOT = 20; // pixels: a curve's height, the room above it, the axis
  const at = (name) => root.querySelector(name);
  const [card, plot, value, worst] = [".bw-frames", ".bw-plot", ".bw-frames-value", ".bw-worst"].map(at);
  let psnr = [], ssim = [], frame = 0, width = 0, column = 1, left = 0, bands = [], marks = [];
  const colour = (name) => getComputedStyle(root).getPropertyValue(name).trim();

  function node(tag, attributes, text) {
    const made = document.createElementNS(SVG, tag);
    for (const [name, content] of Object.entries(attributes)) made.setAttribute(name, content);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function reset() {
    [psnr, ssim, frame, width] = [[], [], 0, 0];
    card.hidden = true;
  }

  function take(row) {
    psnr.splice(row.at, row.psnr.length, ...row.psnr);
    ssim.splice(row.at, row.ssim.length, ...row.ssim);
    const none = at(".bw-no-lpips");
    none.hidden = !row.lpips_reason;
    none.textContent = fill(T.no_lpips, { reason: row.lpips_reason });
  }

  function done(row) {
    const alike = psnr.filter((x) => x === null).length, all = psnr.length;
    card.hidden = !all;
    if (typeof row.lpips === "number") at(".bw-no-lpips").hidden = true;
    at(".bw-alike").hidden = !alike;
    at(".bw-alike").textContent = fill(alike === all ? T.frames_all_alike : T.frames_alike, { n: alike, all });
    plot.hidden = worst.hidden = value.hidden = alike === all;
    worst.textContent = fill(T.worst, { i: lowest() + 1 });
    plot.setAttribute("aria-valuemax", all);
    width = 0;
    draw();
  }

  const lowest = () => psnr.reduce((best, x, i) => (x !== null && (psnr[best] === null || x < psnr[best]) ? i : best), 0);
  const x = (i) => left + (i + 0.5) * column;

  // A curve's place and scale. SSIM ends at 1, so there is no room above it.
  function band(name, values, top, most) {
    const known = values.filter((v) => v !== null);
    const [low, high] = [Math.min(...known), Math.max(...known)];
    const room = Math.max(high - low, most ? 0.002 : 1) * 0.15;
    const [from, to] = [low - room, most ? Math.min(high + room, most) : high + room];
    const y = (v) => top + BAND - ((v - from) / (to - from)) * BAND;
    const digits = !most ? 1 : high - low < 0.01 ? 4 : 3;
    return { name, values, top, y, low, high, digits };
  }

  function draw() {
    if (card.hidden || plot.hidden || !plot.clientWidth) return;
    if (plot.clientWidth === width) return mark(frame);
    width = plot.clientWidth;
    left = Math.max(parseFloat(colour("--left")), 46);
    column = (width - left - parseFloat(colour("--right"))) / psnr.length;
    const second = HEAD + BAND + HEAD + 6, height = second + BAND + FOOT;
    bands = [band(T.frames_psnr, psnr, HEAD), band(T.frames_ssim, ssim, second, 1)];
    const svg = node("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
    bands.forEach((one, k) => svg.append(...curve(one, k)));
    psnr.forEach((v, i) => {
      if (v === null) svg.append(node("text", { x: x(i), y: HEAD + 12, class: "bw-equal" }, "="));
    });
    const every = Math.ceil(psnr.length / Math.max(2, Math.floor((width - left) / 44)));
    for (let i = 0; i < psnr.length; i += every) {
      svg.append(node("text", { x: x(i), y: height - 4, class: "bw-tick-x" }, i + 1));
    }
    marks = [node("line", { y1: HEAD - 4, y2: second + BAND, class: "bw-now" })];
    for (const _ of bands) marks.push(node("circle", { r: 6, class: "bw-now" }));
    svg.append(...marks);
    plot.replaceChildren(svg);
    mark(frame);
  }

  function curve({ name, values, top, y, low, high, digits }, k) {
    const right = left + column * values.length;
    const parts = [node("text", { x: left, y: top - 7, class: "bw-band-name" }, name)];
    for (const v of high - low > 1e-9 ? [low, high] : [low]) {
      parts.push(node("line", { x1: left, x2: right, y1: y(v), y2: y(v), class: "bw-grid" }));
      parts.push(node("text", { x: left - 6, y: y(v) + 4, class: "bw-tick-y" }, v.toFixed(digits)));
    }
    let path = "", pen = "M";
    values.forEach((v, i) => {
      if (v !== null) path += `${pen}${x(i).toFixed(1)} ${y(v).toFixed(1)}`;
      pen = v === null ? "M" : "L";
    });
    parts.push(node("path", { d: path, class: "bw-line" }));
    if (column > 7) values.forEach((v, i) => {
      if (v === null) return;
      parts.push(k ? node("rect", { x: x(i) - 2.5, y: y(v) - 2.5, width: 5, height: 5, class: "bw-dot" })
        : node("circle", { cx: x(i), cy: y(v), r: 3, class: "bw-dot" }));
    });
    return parts;
  }

  function describe(i) {
    const known = { i: i + 1, n: psnr.length, ssim: ssim[i]?.toFixed(4) };
    if (psnr[i] === null) return fill(T.frames_value_alike, known);
    return fill(T.frames_value, { ...known, psnr: fill(T.decibels, { value: psnr[i]?.toFixed(1) }) });
  }

  function mark(now) {
    frame = now;
    if (card.hidden || plot.hidden || !marks.length || now >= psnr.length) return;
    value.textContent = describe(now);
    plot.setAttribute("aria-valuenow", now + 1);
    plot.setAttribute("aria-valuetext", value.textContent);
    const [line, ...dots] = marks;
    line.setAttribute("x1", x(now));
    line.setAttribute("x2", x(now));
    dots.forEach((dot, k) => {
      const v = bands[k].values[now];
      dot.style.display = v === null ? "none" : "";
      dot.setAttribute("cx", x(now));
      if (v !== null) dot.setAttribute("cy", bands[k].y(v));
    });
  }

  const under = (event) => {
    const place = event.clientX - plot.getBoundingClientRect().left;
    return Math.min(Math.max(Math.floor((place - left) / column), 0), psnr.length - 1);
  };
  plot.addEventListener("pointerdown", (event) => {
    plot.setPointerCapture(event.pointerId);
    player.seek(under(event));
  });
  plot.addEventListener("pointermove", (event) => {
    if (event.buttons & 1) player.seek(under(event));
    else value.textContent = describe(under(event));
  });
  plot.addEventListener("pointerleave", () => mark(frame));
  plot.addEventListener("keydown", (event) => {
    const last = psnr.length - 1;
    const goals = {
      ArrowLeft: frame - 1, ArrowDown: frame - 1, ArrowRight: frame + 1, ArrowUp: frame + 1,
      PageDown: frame - 5, PageUp: frame + 5, Home: 0, End: last, Enter: frame, " ": frame,
    };
    if (!(event.key in goals) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    player.seek(Math.min(Math.max(goals[event.key], 0), last));
  });
  worst.addEventListener("click", () => player.seek(lowest()));
  player.onFrame(mark);
  new ResizeObserver(draw).observe(plot);
  return { reset, take, done, draw };
}

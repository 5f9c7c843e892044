// Gradio's messages float above the page, and with it above buttons. Here they get a strip of their
// own along the window's top: what lies below moves down for as long as they stand there.

export function makeRoomForToasts() {
  const shell = document.querySelector(".gradio-container");
  if (!shell) return;
  const measure = () => {
    const height = document.querySelector(".toast-wrap")?.offsetHeight ?? 0;
    const room = height ? height + 16 : 0;
    const before = parseFloat(document.body.style.getPropertyValue("--toast-room")) || 0;
    if (room === before) return;
    document.body.style.setProperty("--toast-room", `${room}px`);
    if (scrollY > 0) scrollBy({ top: room - before, behavior: "instant" });
  };
  const sizes = new ResizeObserver(measure);
  const findToasts = () => {
    const wrap = document.querySelector(".toast-wrap");
    if (wrap) sizes.observe(wrap);
    measure();
  };
  new MutationObserver(findToasts).observe(shell.querySelector(".main") ?? shell, {
    childList: true,
  });
  findToasts();
}

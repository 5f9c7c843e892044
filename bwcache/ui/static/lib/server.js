// Where the server is: the page may be served below another address.

export function serverRoot() {
  return (window.gradio_config?.root || "").replace(/\/$/, "");
}

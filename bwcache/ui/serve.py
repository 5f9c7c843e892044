"""How the page is served: on this machine only, asking no other host, keeping no history."""

from __future__ import annotations

import os

import gradio as gr

from .finder import style
from .languages import I18N
from .panel import styles
from .theme import theme

UPLOAD_LIMIT = "1kb"  # nothing on the page uploads, but the route is there


def launch(page: gr.Blocks, **changes):
    """Serve the page: on this machine only, unless told otherwise or on a Space."""
    everywhere = "0.0.0.0" if os.environ.get("SPACE_ID") else "127.0.0.1"
    options = {
        "server_name": os.environ.get("GRADIO_SERVER_NAME", everywhere),
        "share": False,
        "show_error": False,
        "max_file_size": UPLOAD_LIMIT,
        "theme": theme(),
        "head": styles() + style(),
        "footer_links": ["gradio", "settings"],
        "run_history": False,
        "ssr_mode": False,
        "i18n": I18N,
    }
    return page.launch(**{**options, **changes})

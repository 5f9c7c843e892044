"""A slider whose number may lie beyond its ends.

Alone in its file: Gradio writes a stub of whatever module defines a component beside it.
"""

from __future__ import annotations

import gradio as gr


class OpenSlider(gr.Slider):
    """Passes every number on: the form says what is allowed, in the page's language, not Gradio."""

    is_template = True  # looks as its parent does

    def preprocess(self, payload: float) -> float:
        return payload

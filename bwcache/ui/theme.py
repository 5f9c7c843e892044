"""Colours and fonts of the form. System fonts only, so no other host is asked for any."""

import gradio as gr

FONT = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")


def theme() -> gr.themes.Base:
    """Slate and teal, every text at least 4.5:1 against its ground in light and dark."""
    base = gr.themes.Base(
        primary_hue="teal", neutral_hue="slate", radius_size="lg", font=FONT, font_mono=MONO
    )
    return base.set(
        body_background_fill="#f4f6fa",
        body_background_fill_dark="#0a101c",
        body_text_color_subdued="#475569",
        body_text_color_subdued_dark="#a3b3c9",
        block_background_fill="#ffffff",
        block_background_fill_dark="#131c2d",
        block_border_color="#e2e8f0",
        block_border_color_dark="#26344a",
        block_info_text_color="#475569",
        block_info_text_color_dark="#a3b3c9",
        block_label_text_color="#334155",
        block_title_text_color="#334155",
        block_title_text_color_dark="#dbe4f0",
        input_background_fill="#f1f5f9",
        input_background_fill_dark="#0b1220",
        button_primary_background_fill="#0f766e",
        button_primary_background_fill_hover="#115e59",
        button_primary_background_fill_dark="#2dd4bf",
        button_primary_background_fill_hover_dark="#5eead4",
        button_primary_text_color_dark="#05211e",
        button_secondary_text_color_dark="#e8eef7",
        slider_color="#0f766e",
        slider_color_dark="#2dd4bf",
    )

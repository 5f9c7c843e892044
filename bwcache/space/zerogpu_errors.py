"""What ZeroGPU refuses, as sentences with what to do. Knows the wording of `spaces`, no more."""

from __future__ import annotations

import re

RECORDED = "The recorded runs play without a GPU."
LESS = "choose fewer steps, no control run or a smaller model"
REFUSALS = (  # part of the title and message → sentence; the first that fits
    ("No GPU", "Every GPU is busy. Try again in a minute."),
    ("runs limit", "You have made as many runs on a GPU as a day allows. Try again tomorrow."),
    ("pending credits", "Too many of your runs are under way. Wait until one is complete."),
    (
        "quota exceeded",
        "The GPU quota of visitors who are not signed in is used up: sign in to Hugging Face and "
        "reload the page, or try again tomorrow.",
    ),
    ("Expired", "This page has been open for too long. Reload it."),
    (
        "GPU task aborted",
        "The GPU was taken back before the comparison was complete, as happens when it takes "
        f"longer than was asked for: {LESS}, or try again.",
    ),
    ("OutOfMemoryError", "The GPU's memory was not enough. Choose a smaller model."),
)


def explain(error: BaseException) -> str | None:
    """A sentence for an error that ZeroGPU or `spaces` raised; None for any other.

    Args:
        error: What was raised. A `gradio.Error` has a title and a message.
    """
    title, text = str(getattr(error, "title", "")), str(getattr(error, "message", error))
    if title.startswith("ZeroGPU"):
        return f"{_sentence(title, text)} {RECORDED}"
    if text.startswith("ZeroGPU API") or type(error).__module__.partition(".")[0] == "httpx":
        return f"ZeroGPU could not be reached. Try again in a minute. {RECORDED}"
    return None


def _sentence(title: str, text: str) -> str:
    if numbers := re.search(r"\((\d+)s requested vs\. (-?\d+)s left\)", text):
        left, again = max(0, int(numbers[2])), re.search(r"Try again in (\d[\d:, a-z]*)", text)
        later = f", or try again in {again[1]}" if again else ""
        return (
            f"This asks for {numbers[1]} s of your GPU quota, and {left} s of it are left: "
            f"{LESS}{later}."
        )
    if asked := re.search(r"duration \((\d+)s\) is larger than the maximum", text):
        return f"This asks for {asked[1]} s of a GPU, more than one run may have: {LESS}."
    for part, sentence in REFUSALS:
        if part in f"{title}: {text}":
            return sentence
    return f"The comparison failed on the GPU ({text}). Try again, or choose another model."

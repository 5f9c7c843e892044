"""English texts on what a model needs here and costs. Knows no component and no number."""

NOT_MEASURED_YET = (
    "**Not yet measured:** there are no presets for this model. At threshold 0 a first run only "
    "measures; then this line suggests a threshold."
)
SUGGESTED = (
    "**Suggested from that run:** threshold {threshold:.4g} with R = {interval}, which reuses "
    "{reused} of {steps} steps in about {seconds:.1f} s instead of {whole:.1f} s. *Estimated; how "
    "close the video stays is only known once it is made.*"
)
NOTHING_TO_SUGGEST = "**No threshold would reuse a step in a run like that.** Take more steps."

OFFLOADS = {
    "model": "Does not fit on the GPU at once: its parts take turns there (slower).",
    "sequential": "Not even its parts fit on the GPU: its layers take turns there (much slower).",
}
DOWNLOAD = "The first run downloads about {size:.0f} GB."
TAKES = "A comparison takes about {seconds:.0f} s here (estimated from the last one)."
GUESSED = "By its size a comparison may take about {minutes:.0f} min (a rough guess)."
NOT_MEASURED = "Not yet measured: it starts by measuring and suggests a threshold."
LICENCE = "Licence: {name}."
NOT_HERE = "{count} more models do not run on this machine"
COST = (
    "**Cost:** asks for up to {seconds} s of GPU, which counts as {quota} s of "
    "{daily} s a day{kind}."
)
COST_KINDS = {
    "anonymous": " for a visitor who has not signed in",
    "signed in": " for a free account",
    "free": " for your free account",
    "pro": " for your PRO account",
}
COST_ESTIMATED = " *A rough guess: this model has not been timed here yet.*"
COST_SHORT = (
    " **That may not be enough:** it is expected to need {needed} s. Take fewer steps or a smaller "
    "model; the recorded runs play without a GPU."
)

"""The texts of "Find my threshold". What is in `FINDER` goes to the browser as it is."""

TITLE = "Find my threshold"
INTRO = (
    "Makes your prompt's video uncached once, foretells what every setting would do, and tries as "
    "few as it needs to find the one you want. Prompt, model, steps, seed, method and gate are "
    "those of the form."
)
KIND = "I want it"
KINDS = (
    ("as fast as possible while staying this close (PSNR)", "psnr"),
    ("this much faster, at the best fidelity", "speedup"),
)
VALUES = {"psnr": (35, "PSNR at least (dB)"), "speedup": (2, "Times as fast, at least")}
FIND = "Find"
STOP = "Stop search"
STOPPED = "Stopped. Press Find to search again; the uncached run is remembered once it is complete."
WAITING = "Waiting for the model to be free…"
FAILED = "Something went wrong during the search. The server's log says what."

FINDER = {
    "title": TITLE,
    "preparing": "Preparing the model…",
    "uncached": "Making the uncached video: step {i} of {n}",
    "trial": "Trial {i} of at most {most}: threshold {threshold}, interval {interval}",
    "left": "at most about {s} s left",
    "progress": "Progress of the search",
    "chart": "Speed against closeness",
    "chart_note": "each point is a trial, up and to the right is better",
    "chart_label": "{n} trials, speed against PSNR; the table below has their numbers",
    "speedup": "Speed-up",
    "psnr": "PSNR (dB)",
    "ssim": "SSIM",
    "goal_psnr": "goal: {v} dB",
    "goal_speedup": "goal: {v}×",
    "identical": "identical",
    "meets": "meets the goal",
    "misses": "misses the goal",
    "recommended": "recommended",
    "table": "Trials",
    "column_trial": "Trial",
    "column_threshold": "Threshold",
    "column_interval": "Interval R",
    "column_steps": "Computed",
    "column_goal": "Goal",
    "yes": "✓ met",
    "no": "– missed",
    "steps": "{c} of {n}",
    "look": "Look at trial {i}",
    "detail": "Trial {i}: threshold {threshold}, interval {interval}",
    "numbers": "{x}× as fast · {psnr} · SSIM {ssim} · {c} of {n} steps computed",
    "strip_uncached": "Uncached",
    "strip_cached": "BWCache",
    "strip_alt": "{run}: six frames of the video",
    "detail_idle": "Point at a trial to see its video",
    "choice": "Settings to choose from, each with a schedule of its own: {c}. Left out, since they "
    "would do the same as one of these, or reuse nothing: {saved}.",
    "remembered": "The uncached run was remembered.",
    "use": "Use this setting",
    "used": "Sent to the form: press Generate there.",
    "caveat": "Seconds differ a little from run to run; PSNR does not.",
}

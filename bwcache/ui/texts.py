"""Every English text of the page, in one place. Knows no component and no number.

`PANEL` goes to the browser as it is; `{name}` in it is filled there.
"""

TITLE = "BWCache"
TAGLINE = (
    "Watch a video model skip the work that it would only repeat: the same video, made twice, "
    "once in full and once with cached blocks."
)
CHIP = "{device} · {model}"
DEVICES = {"cpu": "CPU", "cuda": "CUDA GPU"}

MODEL = "Model"
PROMPT = "Prompt"
PROMPT_PLACEHOLDER = "What should the video show?"
EXAMPLES = "Examples"
PRESET = "Preset"
THRESHOLD = "Threshold"
THRESHOLD_INFO = "Reuse starts after the first step that changes the blocks by less than this."
ADVANCED = "Advanced"
STEPS = "Denoising steps"
SEED = "Seed"
INTERVAL = "Reuse interval R"
INTERVAL_INFO = (
    "Steps reused after a computed one: a whole number, or a share of all steps such as 0.1."
)
GATE = "Gate"
GATE_CHOICES = (("once: keep the pattern", "once"), ("recheck: ask again", "recheck"))
REUSE = "What is replayed"
REUSE_CHOICES = (("residual", "residual"), ("output", "output"))
CONTROL = "Control: also run uncached with only as many steps as were computed"
GENERATE = "Generate"
STOP = "Stop"

RANGE = "This model's indicator was measured from {low:.3g} to {high:.3g}."
LAST_RANGE = "In your last run the indicator went from {low:.3g} to {high:.3g}."
RANGE_UNKNOWN = "How far this model's steps change is not known yet; a run will show it."
STARTS_ABOVE = "For this prompt, {value:.3g} and below reuses nothing."
EXPECTED = (
    "**Expected:** {reused} of {steps} steps reused, about {seconds:.1f} s instead of "
    "{whole:.1f} s. {kind}"
)
EXPECTED_NOTHING = "**Expected:** nothing is reused with these settings. {kind}"
EXACT = "*Which steps: exact. Seconds: estimated from your uncached run.*"
ESTIMATED = "*Estimated from your uncached run.*"
EXACT_NOTHING = "*Exact, from your uncached run.*"
EXPECT_LATER = "After a first run, this line says what a threshold would do before you try it."

WAITING = "Waiting for the model to be free…"
STOPPED = "Stopped. Press Generate to start again."
FAILED = "Something went wrong while the video was made. The server's log says what."

PANEL = {
    "empty_title": "Two videos will race here",
    "empty_text": "Press Generate: first the full model, then BWCache. You see every step, "
    "what it reused, and the seconds that saved.",
    "baseline": "Uncached",
    "cached": "BWCache",
    "control": "Control",
    "control_note": "fewer steps, uncached",
    "remembered": "uncached run remembered from before (measured at that time)",
    "waiting": "waiting",
    "preparing": "Preparing the model…",
    "running_baseline": "Running uncached: step {i} of {n}",
    "running_cached": "Running with BWCache: step {i} of {n}, {reused} reused so far",
    "running_control": "Running the control: step {i} of {n}",
    "finishing": "Comparing the two videos…",
    "saved": "saved",
    "lost": "longer than uncached",
    "speedup": "speed-up",
    "reused": "steps reused",
    "psnr": "PSNR",
    "ssim": "SSIM",
    "lpips": "LPIPS",
    "identical": "identical",
    "caveat": "PSNR and SSIM measure difference from the uncached video, not quality.",
    "fine_print": "Denoising time, measured on {device}. Comparing steps took {share} % of the "
    "cached run and is counted.",
    "control_line": "Control: {steps} uncached steps in {seconds} s, PSNR {psnr}.",
    "race": "Time",
    "race_note": "denoising, in seconds; each segment is a step",
    "indicator": "Block similarity",
    "indicator_note": "relative L1 between steps, mean over blocks: low means little has changed",
    "threshold": "threshold",
    "strip": "Steps",
    "compute": "C computed",
    "reuse": "r reused",
    "heat": "Change, block by block",
    "heat_note": "relative L1 against the last computed step",
    "both": "Both",
    "readout_idle": "Point at a cell to read it",
    "readout_value": "{run} · step {i} · block {b}: {v}",
    "readout_reused": "{run} · step {i}: reused, nothing to measure",
    "readout_first": "{run} · step {i}: nothing to compare with",
    "readout_none": "{run} · step {i}: not reached",
    "heat_label": "{run}: relative L1 of each block at each step, {blocks} blocks, {steps} steps",
    "step_title": "{run}, step {i}: {action}. {why}",
    "computed_word": "computed",
    "reused_word": "reused",
    "axis_step": "step",
    "axis_block": "block",
    "play": "Play",
    "pause": "Pause",
    "restart": "Restart",
    "back": "One frame back",
    "forward": "One frame forward",
    "seek": "Position in both videos",
    "frame": "frame {i} / {n}",
    "downloads": "Download",
    "file_baseline": "Uncached video",
    "file_cached": "BWCache video",
    "file_control": "Control video",
    "file_trace": "Trace",
    "file_summary": "Summary",
    "preview_alt": "{run}: rough picture of the unfinished video",
    "video_alt": "{run}: the video",
    "seconds": "{s} s",
}

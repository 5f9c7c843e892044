"""Every English text of the page, in one place. Knows no component and no number.

`PANEL` goes to the browser as it is; `{name}` in it is filled there.
"""

from . import views_texts

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
PRESET_NAMES = (("Safe", "Safe"), ("Balanced", "Balanced"), ("Fast", "Fast"), ("Paper", "Paper"))
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
REUSE = "Method"
REUSE_INFO = "The forecast follows the trend of the last computed steps instead of repeating one."
REUSE_CHOICES = (
    ("BWCache (paper)", "residual"),
    ("BWCache + forecast", "forecast"),
    ("BWCache (block output)", "output"),
)
METHOD_NAMES = {value: name for name, value in REUSE_CHOICES}
CONTROL = "Control: also run uncached with only as many steps as were computed"
GENERATE = "Generate"
STOP = "Stop"

COPY_LINK = "Copy link"
LINK = "Link to these settings"
LINK_COPIED = "Link copied. It restores model, prompt, seed and settings."
LINK_BY_HAND = "Copying is not allowed here: this is the link."
LINK_IGNORED = "The link asks for something that does not work here and was ignored: {names}."

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
MIND = "**Mind:** {note}"
EXPECT_LATER = "After a first run, this line says what a threshold would do before you try it."

IMAGE_OPTIONAL = "Picture to start from (may be left out)"
IMAGE_REQUIRED = "Picture to start from (needed)"

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
    "stage_download": "Downloading the model: {done} of {total} GB",
    "stage_load": "Loading the model…",
    "stage_warm_up": "Warming up, so that no measured step pays for it…",
    "stage_retry": "Starting again…",
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
    "file_difference": "Difference video",
    "file_trace": "Trace",
    "file_summary": "Summary",
    "preview_alt": "{run}: rough picture of the unfinished video",
    "video_alt": "{run}: the video",
    "seconds": "{s} s",
    **{f"method_{value}": name for name, value in REUSE_CHOICES},
    "progress": "Progress",
    "progress_left": "about {s} s left",
    "progress_minutes": "about {m} min left",
    "progress_soon": "almost done",
    "progress_unknown": "how long is not known yet",
    "phase_baseline": "The uncached run begins.",
    "phase_cached": "The run with BWCache begins.",
    "phase_control": "The control run begins.",
    # Recorded runs: gallery.js
    "locale": "en-GB",
    "gallery": "Recorded runs",
    "recorded_run": "Recorded run",
    "recorded_where": "{hardware} · {date}",
    "recorded_on": "recorded on {date}",
    "run_numbers": "δ {threshold} · {speedup}× · {psnr}",
    "replay": "Play the recorded run",
    "replay_real": "Play as it happened",
    "replay_fast": "Play fast",
    "replay_skip": "Skip to the end",
    "run_broken": "The recorded run “{title}” cannot be shown: {why}.",
    "run_unreachable": "its run.json cannot be fetched, the server does not answer",
    "run_refused": "the server does not give out its run.json (status {status})",
    "run_no_json": "its run.json is not valid JSON; record it again",
    "run_foreign": "its run.json says {format} version {version}; bwcache-recorded-run version 1 "
    "is needed",
    "run_incomplete": "its run.json does not hold a whole run; record it again",
    **views_texts.PANEL,
    # The slider that foretells another threshold's schedule: whatif.js
    "whatif_title": "What if the threshold were …",
    "whatif_note": "foretold from the uncached run's measurements; nothing runs again",
    "whatif_slider": "Threshold to try",
    "whatif_interval": "Reuse interval R",
    "whatif_this_run": "{value} (this run)",
    "whatif_gate": "Gate",
    "whatif_once": "once: keep the pattern",
    "whatif_recheck": "recheck: ask again",
    "whatif_strip": "Steps, foretold",
    "whatif_line": "what if",
    "whatif_reused": "{reused} of {steps} steps reused",
    "whatif_nothing": "Nothing reused",
    "whatif_seconds": "about {seconds} s instead of {whole} s ({speedup}×)",
    "whatif_exact": "Which steps: exact.",
    "whatif_estimate": "Which steps: an estimate, since a cached run would measure other values.",
    "whatif_times": "Seconds: estimated from this run's own step times.",
    "whatif_starts": "In this run, {value} and below reuses nothing.",
    "whatif_pays": "Only {computed} of {steps} steps are computed. Below {least} of {of}, simply "
    "taking that few uncached steps is about as good on this model (measured).",
    "whatif_use": "Use this threshold",
    "whatif_back": "Back to this run",
    "whatif_used": "Sent to the form. Press Generate to run it.",
    # The tour: a title, a sentence with this run's numbers, the paper's figure. tour.js
    "tour_start": "Take the tour",
    "tour_about": "this run explained in seven short steps",
    "tour_count": "{i} of {n}",
    "tour_back": "Back",
    "tour_next": "Next",
    "tour_close": "Close",
    "tour_end": "Done",
    "tour_source": "Paper (arXiv 2509.13789)",
    "tour_step_title": "What a step is",
    "tour_step": "The video starts as noise and is cleaned in {steps} steps. Each segment of a bar "
    "is one of them; uncached, a step took about {per} s.",
    "tour_block_title": "What a block is",
    "tour_block": "In each step the picture passes through the model's transformer blocks; each of "
    "these {blocks} rows is one. Uncached, the blocks took {share} % of the time: that is what "
    "reuse can save.",
    "tour_curve_title": "Why the curve is low in the middle",
    "tour_curve": "The curve says how much the blocks' output changed since the step before. It "
    "went from {first} down to {low} at step {low_step} and up to {last} at the end: in between, "
    "each step nearly repeats the one before.",
    "tour_flat_title": "Where the curve is low",
    "tour_flat": "The curve says how much the blocks' output changed since the step before. It was "
    "lowest, {low}, at step {low_step}, and highest, {high}, at step {high_step}. Where it is low, "
    "a step nearly repeats the one before.",
    "tour_curve_paper": "a U shape, blocks most alike in the middle steps, hence redundant work.",
    "tour_threshold_title": "What the threshold does",
    "tour_threshold": "Reuse starts after the first step below the threshold, here {threshold}: "
    "that was step {trigger}, at {value}. In this run {starts} and below reuses nothing. Move the "
    "slider to see what others would do.",
    "tour_never": "Reuse starts after the first step below the threshold, here {threshold}. In "
    "this run none was: {starts} and below reuses nothing. Move the slider to see what others do.",
    "tour_threshold_paper": "0.15 by default. On Open-Sora 0.15, 0.20 and 0.25 reused 41, 53 and "
    "59 % of the steps.",
    "tour_reuse_title": "What r means",
    "tour_reuse": "In a step marked r no block runs: what the blocks gave last, or its trend, "
    "stands in. Up to {interval} such steps follow a computed one, C. Here {reused} of {steps} "
    "steps were reused.",
    "tour_reuse_paper": "10 % of the steps in a row by default. On Open-Sora 5, 10 and 20 % took "
    "34.7, 27.7 and 26.0 s, with LPIPS 0.045, 0.088 and 0.142.",
    "tour_saved_title": "What is saved",
    "tour_saved": "Denoising took {whole} s uncached and {part} s with {method}: {speedup}×. The "
    "comparing of steps is counted, {measuring} % of the cached run.",
    "tour_saved_paper": "Wan 2.1, 81 frames at 480p: 912 s became 457 s, 2.00×, on an A800.",
    "tour_differ_title": "How far the videos differ",
    "tour_differ": "PSNR is {psnr} dB and SSIM {ssim}; higher is more alike. They measure "
    "difference, not quality: judge by looking.",
    "tour_same": "The two are identical in every pixel.",
    "tour_differ_paper": "Wan 2.1, 81 frames at 480p: 25.86 dB PSNR, 0.8539 SSIM and 0.0782 LPIPS "
    "against the uncached video.",
}

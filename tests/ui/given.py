"""What a visitor has put into the form, for tests without a browser."""

from bwcache.ui import form

PROMPT = "a red circle moving right on a white background"
GIVEN = {
    "model": "tinyworld",
    "prompt": PROMPT,
    "image": None,
    "method": "bwcache",
    "threshold": 0.06,
    "reuse_interval": "0.1",
    "tail_fraction": 0.5,
    "reuse": "residual",
    "gate": "once",
    "indicator_blocks": "all",
    "indicator_tokens": "128",
    "max_skip_steps": 3,
    "retention_ratio": 0.2,
    "warm_up_steps": "0",
    "max_consecutive": "all",
    "step_mask": "",
    "steps": 12,
    "seed": 0,
    "control": "none",
    "random_weights": False,
}


def given(**changes: object) -> form.Given:
    """The values of all fields by name, some of them other than usual."""
    return {**GIVEN, **changes}

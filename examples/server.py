"""Caching that stays on, in a server or a notebook: enabled once, gone with `disable`.

python examples/server.py
"""

from bwcache import BWCacheConfig, disable, enable
from bwcache.models import find
from bwcache.models.loading import load

SPEC = find("tinyworld")
SIZE = {name: getattr(SPEC.shape, name) for name in ("height", "width", "num_frames")}


def serve(prompts: list[str], steps: int = 30):
    """Make a video for each prompt; yields its frames and what was reused in it."""
    pipe = load(SPEC.name, "cpu")
    run = enable(pipe, BWCacheConfig(threshold=0.06))
    try:
        for prompt in prompts:  # every call starts afresh
            frames = pipe(prompt, num_inference_steps=steps, **SIZE, **SPEC.call).frames[0]
            yield frames, run.trace
            run.clear()  # or traces pile up, one for each call
    finally:
        disable(pipe)


if __name__ == "__main__":
    for _, trace in serve(list(SPEC.examples[:2])):
        print(f"{trace.steps_reused} of {trace.num_steps} steps reused")

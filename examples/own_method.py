"""A caching method of one's own: a frozen config with a pure decision. Everything else is there.

The stretches between computed steps grow: dense at the start, where the video takes shape.

    python examples/own_method.py
"""

from dataclasses import dataclass

from bwcache import Method, Plan, cached
from bwcache.cache.knob import knob
from bwcache.cache.method import WHOLE, Forecast, RunFacts, Seen


@dataclass(frozen=True)
class GrowingStretches(Method):
    """Computes the first steps, then replays stretches that grow by a factor."""

    name = "growing_stretches"
    title = "Growing stretches"
    about = "Computes the first steps; then the stretches that are replayed grow."
    source = "this example"

    first: int = knob(
        4, "whole", "First steps", "Steps always computed.", "Dense start.", low=1, high=1000
    )
    growth: float = knob(
        1.3, "number", "Growth", "How fast stretches grow.", "Factor from one to the next.", low=1
    )

    @property
    def forecast(self) -> Forecast:
        return "exact"  # nothing is measured, so the schedule is known beforehand

    def begin(self, run: RunFacts) -> tuple[int, ...]:
        """The state: which steps are computed."""
        computed, length, step = list(range(self.first)), 1.6, float(self.first)
        while step < run.num_steps:
            computed.append(int(step))
            step, length = step + length, length * self.growth
        return tuple(computed)

    def decide(self, computed: tuple[int, ...], seen: Seen) -> tuple[Plan, tuple[int, ...]]:
        if seen.step in computed:
            return Plan(reason="on the list"), computed
        return Plan((WHOLE,), reason="between two computed steps"), computed


def run(steps: int = 30):
    """A video of TinyWorld with the method; returns its frames and the trace."""
    from bwcache.models import find
    from bwcache.models.loading import load

    pipe, spec = load("tinyworld", "cpu"), find("tinyworld")
    shape = spec.shape
    size = {"height": shape.height, "width": shape.width, "num_frames": shape.num_frames}
    with cached(pipe, GrowingStretches()) as state:
        frames = pipe(spec.examples[0], num_inference_steps=steps, **size, **spec.call).frames
    return frames, state.trace


if __name__ == "__main__":
    _, trace = run()
    print("".join("C" if action == "compute" else "r" for action in trace.schedule))

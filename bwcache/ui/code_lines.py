"""The Python lines that make the cached video of the form's settings, without the page."""

from __future__ import annotations

from ..cache.method import Method
from ..models import find
from ..runs.request import Request

LINES = """import torch
from diffusers.utils import export_to_video

from bwcache import {config_class}, cached
{imports}from bwcache.models.loading import load

pipe = load({model!r}, {device!r}{random})
{image}config = {config}
with torch.random.fork_rng():  # what some schedulers draw beside the noise follows the seed, too
    torch.manual_seed({seed})
    with cached(pipe, config) as run:
        video = pipe(
{arguments}
        ).frames[0]
trace = run.trace
print(f"{{trace.steps_reused}} of {{trace.num_steps}} steps reused in {{trace.seconds:.2f}} s")
export_to_video(list(video), "cached.mp4", fps={fps})
"""
CONTROL = """
# The whole comparison, with the control run beside it:
from bwcache.runs.compare import compare
from bwcache.runs.request import Request

request = Request(
    {prompt!r}, {model!r}, {steps}, {seed}, config,
    control={control!r}{random}{image},
)
*_, finished = compare(request, device={device!r})
print(finished.summary.verdict)
"""
IMAGE = """pipe = with_image(pipe, find({model!r}))
image = load_image("start.png").resize(({width}, {height}))  # the picture that you gave
"""


def code_lines(request: Request, device: str) -> str:
    """A program that runs as it stands.

    Args:
        request: The form's settings. A picture is not part of the program, only its place.
        device: "cpu" or "cuda".
    """
    spec = find(request.model)
    shape, picture = spec.shape, request.image is not None
    arguments: dict[str, str] = {
        "prompt": repr(request.prompt),
        **({"image": "image"} if picture else {}),
        "height": repr(shape.height),
        "width": repr(shape.width),
        spec.frames_argument: repr(shape.num_frames),
        "num_inference_steps": repr(request.steps),
        "generator": f'torch.Generator("cpu").manual_seed({request.seed})',
        "output_type": '"np"',
        **{name: repr(value) for name, value in spec.call.items()},
    }
    imports = "from bwcache.models import find\nfrom bwcache.models.call import with_image\n"
    text = LINES.format(
        config_class=type(request.config).__name__,
        imports=imports if picture else "",
        model=request.model,
        device=device.partition(":")[0],
        random=", random_weights=True" if request.random_weights else "",
        image=IMAGE.format(model=request.model, width=shape.width, height=shape.height)
        if picture
        else "",
        config=config_line(request.config),
        seed=request.seed,
        arguments="\n".join(f"            {name}={value}," for name, value in arguments.items()),
        fps=shape.fps,
    )
    if picture:
        text = text.replace("import export_to_video", "import export_to_video, load_image")
    if request.control_kind is not None:
        text += CONTROL.format(
            prompt=request.prompt,
            model=request.model,
            steps=request.steps,
            seed=request.seed,
            control=request.control_kind,
            random=", random_weights=True" if request.random_weights else "",
            image=', image=open("start.png", "rb").read()' if picture else "",
            device=device.partition(":")[0],
        )
    return text


def config_line(config: Method) -> str:
    """The method's first setting, and those that are not its own defaults, as Python."""
    given: list[str] = []
    for knob in config.knobs():
        value = getattr(config, knob.name)
        if value != knob.default or not given:
            given.append(f"{knob.name}={value!r}")
    return f"{type(config).__name__}({', '.join(given)})"

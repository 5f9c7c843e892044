"""Let a picture move, with caching: any image-to-video pipeline of diffusers.

python examples/image_to_video.py picture.png "the boat sails away"    (a CUDA GPU is needed)
"""

import sys

from PIL import Image

from bwcache import BWCacheConfig, cached


def animate(pipe, image: Image.Image, prompt: str, threshold: float, **call):
    """The frames, and the trace.

    Args:
        pipe: An image-to-video pipeline.
        image: The picture to start from.
        prompt: What happens in it.
        threshold: δ; look at `trace.indicator_range()` of a run at 0 first.
        call: What else the pipeline is called with.
    """
    with cached(pipe, BWCacheConfig(threshold=threshold)) as run:
        frames = pipe(image=image, prompt=prompt, **call).frames
    return frames, run.trace


def main(path: str, prompt: str) -> None:
    import torch
    from diffusers import WanImageToVideoPipeline
    from diffusers.utils import export_to_video

    name = "Wan-AI/Wan2.2-TI2V-5B-Diffusers"
    pipe = WanImageToVideoPipeline.from_pretrained(name, torch_dtype=torch.bfloat16)
    pipe.enable_model_cpu_offload()
    with Image.open(path) as picture:
        start = picture.convert("RGB").resize((1280, 704))
    frames, trace = animate(pipe, start, prompt, 0.1, height=704, width=1280, num_frames=121)
    print(f"{trace.steps_reused} of {trace.num_steps} steps reused")
    export_to_video(frames[0], "video.mp4", fps=24)


if __name__ == "__main__":
    main(*sys.argv[1:3])

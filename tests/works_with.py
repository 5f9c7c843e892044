"""What the README says that caching works with: a list made of the tests that show it.

    python -m tests.works_with          print it
    python -m tests.works_with --write  put it into the README

Each entry names the tests that it stands on; one without a test cannot be said.
"""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
BEGIN, END = "<!-- works with: made by tests/works_with.py -->", "<!-- end -->"
WIDTH = 104

P, U = "tests/pipelines", "tests/unit"
WORKS_WITH: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "model, sequential and group offloading": (
            f"{P}/test_works_with.py::test_offloaded_or_cast_weights",
            f"{P}/test_works_with.py::test_no_weight_of_a_passed_by_block_is_loaded_or_cast",
        ),
        "layerwise casting": (f"{P}/test_works_with.py::test_offloaded_or_cast_weights",),
        "LoRA (before and inside the `with`)": (
            f"{P}/test_works_with.py::test_lora",
            f"{P}/test_works_with.py::test_lora_loaded_and_taken_out_inside",
        ),
        "bfloat16 and float16": (f"{P}/test_works_with.py::test_half_precision",),
        "`torch.inference_mode`": (f"{P}/test_sound.py::test_inference_mode",),
        "`compile_repeated_blocks()`": (
            f"{P}/test_compiled.py::test_compiled_blocks_keep_their_graphs",
        ),
        "batches (the least similar video decides)": (
            f"{P}/test_works_with.py::test_two_videos_of_a_prompt_and_no_guidance",
            f"{U}/test_batches.py::test_the_least_similar_video_decides",
        ),
        "Euler, Heun, UniPC, DPM++, DDIM and PNDM schedulers": (
            f"{P}/test_works_with.py::test_schedulers",
        ),
        "sigmas of one's own": (f"{P}/test_sound.py::test_sigmas_of_ones_own",),
        "`strength` in video-to-video": (
            f"{P}/test_sound.py::test_strength_counts_the_steps_that_run",
        ),
        "guiders of HunyuanVideo 1.5": (
            f"{P}/test_sound.py::test_several_guiders_of_hunyuanvideo_15",
        ),
        "modular Wan pipelines": (f"{P}/test_sound.py::test_a_modular_pipeline",),
        "pipelines that share a transformer (`from_pipe`)": (
            f"{P}/test_inert.py::test_a_second_pipeline_with_the_same_scheduler_is_cached_by_its_own_steps",
        ),
        "loops of one's own (`run.begin`, `run.step`)": (
            f"{U}/test_own_loops.py::test_a_loop_that_tells_its_steps_is_cached",
            f"{P}/test_inert.py::test_an_own_sampler_is_refused_at_its_second_step_and_works_once_it_tells_its_steps",
        ),
        "blocks that work in place": (f"{U}/test_in_place.py::test_blocks_that_work_in_place",),
        "context parallelism": (
            f"{P}/test_ranks.py::test_two_processes_decide_measure_and_give_what_one_does",
        ),
        "`deepcopy` and `save_pretrained` inside": (
            f"{P}/test_sound.py::test_a_copy_made_inside_and_a_pipeline_saved_inside",
        ),
    }
)


def paragraph() -> str:
    """The README's sentence."""
    *most, last = WORKS_WITH
    return "\n".join(
        textwrap.wrap(
            f"**Works with** {', '.join(most)}, and {last}.",
            WIDTH,
            break_long_words=False,
            break_on_hyphens=False,
        )
    )


def with_paragraph(readme: str) -> str:
    """A README with the sentence between its two marks.

    Raises:
        ValueError: The marks are not there.
    """
    before, found, rest = readme.partition(BEGIN)
    _, closed, after = rest.partition(END)
    if not (found and closed):
        raise ValueError(f"README.md: {BEGIN} and {END} are needed")
    return f"{before}{BEGIN}\n{paragraph()}\n{END}{after}"


def missing() -> list[str]:
    """Tests that are named and are not there."""
    gone = []
    for names in WORKS_WITH.values():
        for name in names:
            path, _, function = name.partition("::")
            source = (ROOT / path).read_text(encoding="utf-8") if (ROOT / path).exists() else ""
            if not re.search(rf"^def {function}\(", source, re.MULTILINE):
                gone.append(name)
    return gone


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="put it into the README")
    if not parser.parse_args().write:
        print(paragraph())
        return
    README.write_text(with_paragraph(README.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()

"""A catalogue model with random weights: real shapes and costs, nothing downloaded.

Knows how to build what an entry's `parts` say; knows no model by name.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager

import diffusers
import torch
import transformers
from diffusers import DiffusionPipeline
from transformers import PreTrainedTokenizerFast

from ..tinyworld.text import build_tokenizer
from .from_folder import settle
from .spec import ModelSpec, Part

WORDS = "PreTrainedTokenizerFast"
TURNS = "{% for message in messages %}{{ message['content'] }} {% endfor %}"


def build(spec: ModelSpec, device: str) -> DiffusionPipeline:
    """The entry's pipeline with seeded random weights, made on the device itself.

    Args:
        spec: Its `parts` say what each component is.
        device: Where it shall run; needs the memory of all weights but the text encoders' there.

    Returns:
        The real transformer and autoencoder in the entry's types (with the parts in float32 that
        diffusers keeps so) and the entry's scheduler. A text encoder is a narrow one of hardly
        any work with the real one's output width and number of tokens; its words are TinyWorld's.
    """
    kind = getattr(diffusers, spec.pipeline)
    components = {name: _component(spec, name, part, device) for name, part in spec.parts.items()}
    for name, parameter in inspect.signature(kind.__init__).parameters.items():
        if name.startswith("tokenizer") and name not in components:
            components[name] = make(Part(WORDS))
        elif parameter.default is inspect.Parameter.empty and name not in ("self", "scheduler"):
            components.setdefault(name, None)
    kind_of_scheduler = getattr(diffusers, str(spec.scheduler))
    scheduler = kind_of_scheduler(**spec.scheduler_options)
    pipe = kind(scheduler=scheduler, **components, **spec.pipeline_options)
    return settle(pipe, spec).to(device)


def make(part: Part):
    """What a part says, drawn on torch's default device, in its default type."""
    if part.kind == WORDS:
        return _tokenizer(**part.config)
    library = diffusers if hasattr(diffusers, part.kind) else transformers
    kind = getattr(library, part.kind)
    config = getattr(kind, "config_class", None)
    return kind(**part.config) if config is None else kind(config(**part.config))


def _component(spec: ModelSpec, name: str, part: Part, device: str):
    dtype = getattr(torch, spec.weights.dtype(name))
    with _drawn_on(device, dtype):
        made = make(part)
    if isinstance(made, torch.nn.Module):
        kept = set(getattr(made, "_keep_in_fp32_modules", None) or ())
        for path, weight in made.named_parameters():
            if kept & set(path.split(".")):
                weight.data = weight.data.float()
        made.eval().requires_grad_(False)
    return made


def _tokenizer(padding_side: str = "right") -> PreTrainedTokenizerFast:
    """TinyWorld's words, for whatever is said; a chat is read as its messages in a row."""
    words = build_tokenizer()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words.backend_tokenizer,
        padding_side=padding_side,
        **words.special_tokens_map,
    )
    tokenizer.chat_template = TURNS
    return tokenizer


@contextmanager
def _drawn_on(device: str, dtype: torch.dtype) -> Iterator[None]:
    """Modules made inside are drawn on this device, in this type, from seed 0."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.random.fork_rng(devices=[]), torch.device(device):
            torch.manual_seed(0)
            yield
    finally:
        torch.set_default_dtype(before)

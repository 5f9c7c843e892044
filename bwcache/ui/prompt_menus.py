"""A prompt from menus, or by dice: for whoever does not know what a model can be asked for.

Free text stays: what is chosen is written into the prompt's field, and what is typed there is
shown by the menus as far as they can.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from types import ModuleType

import gradio as gr

from .. import models
from ..models import CATALOGUE, ModelSpec
from ..runs.request import MAX_SEED
from .languages import label

DICE = random.SystemRandom()
MOST_SEED = min(MAX_SEED, 9999)  # short enough to read out
MENU = "menu_"  # before the menus' names among the fields


def _known() -> ModuleType | None:
    """The menus of the one model that has some; a page has room for one set."""
    return next(filter(None, map(models.prompt_menus, CATALOGUE.values())), None)


def menu_fields(spec: ModelSpec) -> dict[str, gr.components.Component]:
    """The dice, and the menus below the prompt; put where the page stands."""
    fields: dict[str, gr.components.Component] = {}
    with gr.Row(elem_id="bw-build"):
        with (
            gr.Accordion(
                label("menus"),
                open=False,
                visible=spec.prompt_menus is not None,
                elem_id="bw-menus",
            ) as menus,
            gr.Row(elem_id="bw-menu-grid"),
        ):
            for name, update in _looks(spec.examples[0]).items():
                fields[MENU + name] = gr.Dropdown(
                    label=label(MENU + name), filterable=False, min_width=80, **update
                )
        dice = gr.Button(label("dice"), size="sm", scale=0, min_width=90, elem_id="bw-dice")
    return {"menus": menus, "dice": dice, **fields}


def _looks(prompt: str) -> dict[str, dict[str, object]]:
    """What each menu offers and has chosen, where a prompt is one of the menus' language."""
    known = _known()
    chosen = known and known.choices_of(prompt)
    return _of(known, chosen) if known and chosen else {}


def _of(known: ModuleType, chosen: Mapping[str, str]) -> dict[str, dict[str, object]]:
    offered = known.allowed(chosen)
    return {
        name: {
            "choices": [(choice or "–", choice) for choice in offered[name]],
            "value": value,
        }
        for name, value in chosen.items()
    }


def names() -> tuple[str, ...]:
    """The menus' names among the fields."""
    known = _known()
    return tuple(MENU + name for name in known.MENUS) if known else ()


def follow(prompt: str) -> dict[str, object]:
    """What becomes of the menus where a prompt was typed: they stay where it is none of theirs."""
    found = {MENU + name: gr.update(**looks) for name, looks in _looks(prompt).items()}
    return found or dict.fromkeys(names(), gr.skip())


def build(given: Mapping[str, object]) -> dict[str, object]:
    """The prompt that the menus ask for, and what they offer beside it."""
    known = _known()
    chosen = {name.removeprefix(MENU): str(value or "") for name, value in given.items()}
    return {"prompt": known.caption(chosen), **follow(known.caption(chosen))} if known else {}


def throw(spec: ModelSpec) -> dict[str, object]:
    """Prompt and seed by chance; of the examples where the model has no menus."""
    menus = models.prompt_menus(spec)
    prompt = menus.roll(DICE) if menus else DICE.choice(spec.examples)
    return {"prompt": prompt, "seed": DICE.randint(0, MOST_SEED), **follow(prompt)}

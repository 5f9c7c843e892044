"""The form, described once: what the page's components, links and the API are made of.

Each field has one name everywhere. What a browser, an address or a program sends is a mapping of
these names to values; `read` makes a checked `Request` of it, once. Knows no component.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from .. import models
from ..cache.calibration import is_known
from ..cache.knob import Knob
from ..cache.method import Method
from ..cache.methods import METHODS, find_method
from ..errors import ConfigError
from ..models import ModelSpec
from ..models import start_picture as picture
from ..models.spec import Lacking
from ..runs.controls import CONTROLS, Control, check_control_on
from ..runs.request import MAX_SEED, MAX_STEPS, Request

FieldKind = Literal["text", "name", "picture", "whole", "switch", "choice", "setting"]
Given = Mapping[str, object]

DEFAULT_METHOD = next(iter(METHODS))
FORMER_NAMES = {"interval": "reuse_interval"}  # in links and recorded runs of former versions
PRESET_KINDS = ("number", "whole", "steps")  # what a preset sets; the other settings stay
PRESET_CHOICES = ("schedule",)  # likewise: which of a method's numbers count depends on it
AS_IS = ("number", "whole", "choice", "numbers")  # given as they are; the others as a text
NO_CONTROL = "none"
FORMER_CHOICES = {"true": "fewer", "1": "fewer", "false": NO_CONTROL, "0": NO_CONTROL}  # in links
SLIDER_TOP = 0.3  # where a model's range is not known


@dataclass(frozen=True)
class Field:
    """One field of the form.

    Args:
        name: In the form, in links, and as a parameter of the API.
        kind: What it holds; "setting" is one of a method's.
        about: One line, for callers of the API.
        default: Where nobody gives one; None: the model's or the method's own.
        bounds: Of a whole number.
        choices: Of a choice.
        linked: Whether a link holds it.
        required: Whether a program has to give it.
    """

    name: str
    kind: FieldKind
    about: str
    default: object = None
    bounds: tuple[int, int] = (0, 0)
    choices: tuple[str, ...] = ()
    linked: bool = True
    required: bool = False

    def check(self, value: object) -> None:
        """Refuse what is no whole number within the bounds.

        Raises:
            ConfigError: Naming the field, what was given and what is allowed.
        """
        low, high = self.bounds
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or not low <= value <= high:  # type: ignore[operator]
            raise ConfigError(self.name, value, f"a whole number from {low} to {high}")


def settings(method: type[Method]) -> tuple[Knob, ...]:
    """What a visitor may set of a method: all but what has to be measured on a model first."""
    return tuple(knob for knob in method.knobs() if knob.name not in method.calibrated)


def knobs() -> dict[str, dict[str, Knob]]:
    """Every setting of any method by its name, and of each the methods that have it."""
    found: dict[str, dict[str, Knob]] = {}
    for name, method in METHODS.items():
        for knob in method.knobs():
            found.setdefault(knob.name, {})[name] = knob
    return found


def settings_by_name() -> dict[str, dict[str, Knob]]:
    """The same, of what a visitor may set."""
    return {name: owners for name, owners in knobs().items() if not _calibrated(name, owners)}


def _calibrated(name: str, owners: Mapping[str, Knob]) -> bool:
    return all(name in METHODS[owner].calibrated for owner in owners)


def _fields() -> Iterator[Field]:
    yield Field("model", "name", "Catalogue name; tinyworld runs anywhere.", Request.model)
    yield Field(
        "prompt",
        "text",
        'What the video shows, such as "a red circle moving right on a white background".',
        required=True,
    )
    titles = ", ".join(f"{name} ({method.title})" for name, method in METHODS.items())
    yield Field("method", "name", f"Caching method: {titles}.", DEFAULT_METHOD)
    for name, owners in knobs().items():
        yield Field(name, "setting", setting_about(owners), linked=not _calibrated(name, owners))
    yield Field(
        "steps",
        "whole",
        f"Denoising steps, 2 to {MAX_STEPS}; the model's usual number if left out.",
        bounds=(2, MAX_STEPS),
    )
    yield Field(
        "seed",
        "whole",
        "Of the noise, from 0; the same seed gives the same video.",
        Request.seed,
        bounds=(0, MAX_SEED),
    )
    yield Field(
        "control",
        "choice",
        "A third video, uncached, of as much work as the cached one: none; fewer, with as few "
        "steps as were computed; same-levels, at the very noise levels that were; or shift, with "
        "as few steps at a larger flow shift. True is fewer, false is none.",
        NO_CONTROL,
        choices=(NO_CONTROL, *CONTROLS),
    )
    yield Field(
        "random_weights",
        "switch",
        "Whether to use seeded random weights: right seconds, no picture, no download.",
        Request.random_weights,
    )
    yield Field(
        "image",
        "picture",
        "A picture to start from, for models that take one: PNG, JPEG or WebP in base64.",
        linked=False,
    )


def setting_about(owners: Mapping[str, Knob]) -> str:
    """One line on a setting, of each method that has it where they say different things."""
    lines = {name: f"{knob.everybody} ({knob.expert.rstrip('.')})" for name, knob in owners.items()}
    if len(set(lines.values())) == 1:
        (line, *_) = lines.values()
        return line if len(owners) == len(METHODS) else f"{line} Of {', '.join(owners)}."
    return " ".join(f"{name}: {line}." for name, line in lines.items())


FIELDS: Mapping[str, Field] = {field.name: field for field in _fields()}


# -- a model's own settings --------------------------------------------------------------------


def offered_methods(spec: ModelSpec) -> list[type[Method]]:
    """The methods that can run on a model: not those that would have to be measured on it first,
    nor those that its transformer lacks something for."""
    able = [method for method in METHODS.values() if spec.lacks(method()) is None]
    return [method for method in able if _calibration(spec, method) is not None]


def unable_methods(spec: ModelSpec) -> dict[Lacking, list[type[Method]]]:
    """The methods that cannot run on a model, by what it has not."""
    found: dict[Lacking, list[type[Method]]] = {}
    for method in METHODS.values():
        if lacking := spec.lacks(method()):
            found.setdefault(lacking, []).append(method)
    return found


def _calibration(spec: ModelSpec, method: type[Method]) -> dict[str, Any] | None:
    """What has to be measured on a model before a method can run; None where it has not been."""
    if not method.calibrated:
        return {}
    if is_known(spec.name, method.name):
        return {"calibration": spec.name}
    return None if method.needs_calibration else {}


def usual(spec: ModelSpec, method: type[Method]) -> dict[str, Any]:
    """The settings that a visitor finds where a model and a method are chosen.

    Its usual preset where there is one. Without one, the method of this project begins by
    measuring; others begin with their own defaults.
    """
    found = {knob.name: knob.default for knob in method.knobs()}
    preset = spec.facts(method.name).default_preset
    if preset is None and method.name == DEFAULT_METHOD:
        preset = spec.default_preset
    found |= {} if preset is None else vars(preset.config)
    measured = {name: value for name, value in spec.indicator.items() if name in found}
    return found | measured | (_calibration(spec, method) or {})


def slider_top(spec: ModelSpec, knob: Knob, method: type[Method]) -> float:
    """A slider's right end: the highest allowed, or somewhat beyond what makes a difference."""
    if knob.high < math.inf:
        return knob.high
    facts = spec.facts(method.name)
    known = [getattr(preset.config, knob.name) * 1.5 for preset in facts.presets.values()]
    if facts.indicator_range is not None and knob.basic:
        known.append(facts.indicator_range[1] * 1.1)
    return max(round(max(known, default=SLIDER_TOP), 2), 0.05)


def preset_settings(spec: ModelSpec, method: type[Method], name: str) -> dict[str, Any]:
    """What a preset sets; what it does not name stays as it is, such as the kind of replay."""
    config = spec.facts(method.name).presets[name].config
    names = [
        knob.name
        for knob in settings(method)
        if knob.kind in PRESET_KINDS or knob.name in PRESET_CHOICES
    ]
    return _part(config, names)


def matching_preset(spec: ModelSpec, method: type[Method], given: Given) -> str | None:
    """The preset that these settings are, if any."""
    for name in spec.facts(method.name).presets:
        wanted = preset_settings(spec, method, name)
        try:
            found = {each: read_knob(method.knob(each), given.get(each)) for each in wanted}
        except ConfigError:
            return None
        if found == wanted:
            return name
    return None


def _part(config: Method, names: Iterable[str]) -> dict[str, Any]:
    return {name: getattr(config, name) for name in names}


# -- reading -----------------------------------------------------------------------------------


def read(given: Given) -> Request:
    """The request that the form describes. What is left out is the model's or the method's own.

    The image is the path of an uploaded file, or a picture file's bytes, or None.

    Raises:
        ConfigError: A field cannot be used; the message is a line for the visitor.
    """
    sent = given.get("image")
    models.check_image(models.find(given.get("model", Request.model)), sent)
    image = picture.read(sent)  # type: ignore[arg-type]
    request = replace(read_subject(given, image), config=read_config(given))
    check_control_on(models.find(request.model), request.control_kind)
    return request


def read_subject(given: Given, image: bytes | None) -> Request:
    """The same without the method and its settings: what the uncached run depends on.

    Args:
        given: See `read`.
        image: A picture's checked bytes, or None.
    """
    spec = models.find(given.get("model", Request.model))
    prompt = given.get("prompt")
    request = Request(
        prompt=prompt.strip() if isinstance(prompt, str) else prompt,  # type: ignore[arg-type]
        model=spec.name,
        steps=_whole(given, "steps", spec.steps),
        seed=_whole(given, "seed", Request.seed),
        control=read_control(given),
        random_weights=_switch(given, "random_weights"),
        image=image,
    )
    models.check_prompt(spec, request.prompt)
    models.check_image(spec, request.image)
    return request


def read_config(given: Given) -> Method:
    """The method and its settings.

    Raises:
        ConfigError: The method is unknown, cannot be used on this model, or a setting is not
            allowed.
    """
    spec = models.find(given.get("model", Request.model))
    method = find_method(given.get("method", DEFAULT_METHOD))
    found = usual(spec, method)
    for knob in method.knobs():
        if knob.name in given:
            found[knob.name] = read_knob(knob, given[knob.name])
    check_calibration(found, method)
    config = method(**found)
    spec.check_method(config)
    return config


def read_control(given: Given) -> Control | Literal[False]:
    """Which control run is asked for; programs of former versions say true and false.

    Raises:
        ConfigError: It is none of the choices.
    """
    field = FIELDS["control"]
    value = given.get(field.name, field.default)
    if isinstance(value, bool):
        return "fewer" if value else False
    if value not in field.choices:
        raise ConfigError(field.name, value, ", ".join(field.choices))
    return False if value == NO_CONTROL else value  # type: ignore[return-value]


def check_calibration(found: Given, method: type[Method]) -> None:
    """Refuse a calibration that is not one of a model's name: files are for one's own machine.

    Raises:
        ConfigError: There is none of that name.
    """
    name = found.get("calibration")
    if name and not is_known(str(name), method.name):
        raise ConfigError("calibration", name, f"a model on which {method.title} was calibrated")


def read_knob(knob: Knob, value: object) -> Any:
    """A setting as a component, an address or a program gives it: texts are read, numbers checked.

    Raises:
        ConfigError: It is not allowed.
    """
    if knob.kind not in AS_IS or (isinstance(value, str) and knob.kind == "numbers"):
        return knob.read(str(value).strip())
    if knob.kind == "whole":
        value = _from_float(value)
    if knob.kind == "numbers" and isinstance(value, list):
        value = tuple(value)
    knob.check(value)
    return value


def shown(knob: Knob, value: Any) -> object:
    """A setting as its component holds it: the text of what is typed, else the value."""
    if knob.kind == "count":
        return "all" if value is None else str(value)
    if knob.kind == "numbers":
        return ",".join(map(str, value))
    return value if knob.kind in AS_IS else str(value)


def shown_by_name(method: type[Method], found: Given) -> dict[str, object]:
    """The same for some settings of a method."""
    return {name: shown(method.knob(name), value) for name, value in found.items()}


def chosen(given: object, model: object) -> tuple[type[Method], dict[str, Any]]:
    """The settings that a panel's button puts into the form.

    Args:
        given: As the browser sent it: settings by name; perhaps the `method` that they are of, and
            the `model` that they were found on.
        model: The form's.

    Returns:
        The method, and its settings as far as they were given.

    Raises:
        ConfigError: They cannot be used, or were found on another model.
    """
    if not isinstance(given, dict):
        raise ConfigError("settings", given, "an object of settings")
    if given.get("model", model) != model:
        raise ConfigError("model", given["model"], f"{model!r}: thresholds do not carry over")
    method = find_method(given.get("method", DEFAULT_METHOD))
    named = {FORMER_NAMES.get(name, name): value for name, value in given.items()}
    found = {
        knob.name: read_knob(knob, named[knob.name])
        for knob in settings(method)
        if knob.name in named
    }
    if not found:
        raise ConfigError("settings", given, f"a setting of {method.title}")
    return method, found


def _whole(given: Given, name: str, default: int) -> int:
    value = _from_float(given.get(name, default))
    FIELDS[name].check(value)
    return value  # type: ignore[return-value]


def _from_float(value: object) -> object:
    """A whole number as `gr.Number` delivers it: perhaps as a float."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _switch(given: Given, name: str) -> bool:
    value = given.get(name, FIELDS[name].default)
    if not isinstance(value, bool):
        raise ConfigError(name, value, "true or false")
    return value

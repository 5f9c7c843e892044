"""Settings ↔ the query of an address. Knows no component; trusts nothing that an address says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..cache.methods.bwcache import BWCacheConfig, parse_interval
from ..errors import ConfigError
from ..models import ModelSpec
from . import form

FIELDS = ("model", "prompt", "seed", "steps", "threshold", "interval", "gate", "reuse")
LONGEST = 24  # characters of a number


def read(
    params: Mapping[str, str], specs: Sequence[ModelSpec]
) -> tuple[dict[str, object], list[str]]:
    """What an address asks for.

    Args:
        params: Its query. Names other than `FIELDS` are for others.
        specs: The models on offer; the first is taken where none is asked for.

    Returns:
        The settings that can be used, by name, and the names of those that cannot. Where there is
        any, "model" is among the former.
    """
    given = {name: str(params[name]) for name in FIELDS if name in params}
    if not given:
        return {}, []
    spec = next((one for one in specs if one.name == given.get("model")), None)
    bad = ["model"] if "model" in given and spec is None else []
    spec = spec or specs[0]
    good: dict[str, object] = {"model": spec.name}
    for name in FIELDS[1:]:
        if name not in given:
            continue
        try:
            good[name] = _checked(spec, name, given[name])
        except ConfigError:
            bad.append(name)
    return good, bad


def _checked(spec: ModelSpec, name: str, text: str) -> object:
    """One setting as the form holds it, if the form takes it beside the model's own settings."""
    value: object = text.strip()
    if name in ("seed", "steps"):
        value = parse_interval(_short(name, text))
    elif name == "threshold":
        value = float(parse_interval(_short(name, text)))
    elif name == "interval":
        value = str(parse_interval(_short(name, text)))
    defaults = BWCacheConfig()
    others = {
        "model": spec.name,
        "prompt": spec.examples[0],
        "threshold": spec.default_preset.config.threshold,
        "steps": spec.steps,
        "seed": 0,
        "interval": str(spec.default_preset.config.reuse_interval),
        "gate": defaults.gate,
        "reuse": defaults.reuse,
        "control": False,
        "image": None,
    }
    form.read(*({**others, name: value}[field] for field in form.FIELDS))
    return value


def _short(name: str, text: str) -> str:
    """A number's text, unless it is too long to be one that anybody meant."""
    text = text.strip()
    if len(text) > LONGEST:
        raise ConfigError(name, text, "a number")
    return text

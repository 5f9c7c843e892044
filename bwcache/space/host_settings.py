"""What the host of the page may set: the `BWCACHE_…` environment variables, read once and checked.

Knows what each variable means and what it allows, not where it is used. `GRADIO_…` variables are
Gradio's own and not repeated here.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import ConfigError
from ..models.catalogue import CATALOGUE
from ..models.spec import ModelSpec
from ..runs.recorded import RUNS
from ..runs.request import MAX_STEPS, Request

PREFIX = "BWCACHE_"
VARIABLES = (  # the Space's card has a table of what each allows
    *("BWCACHE_MODELS", "BWCACHE_DEFAULT_MODEL", "BWCACHE_MAX_STEPS", "BWCACHE_QUEUE_SIZE"),
    *("BWCACHE_AUTH", "BWCACHE_RUNS", "BWCACHE_MCP"),
)
SWITCH = {"on": True, "1": True, "true": True, "yes": True} | {
    "off": False, "0": False, "false": False, "no": False
}  # fmt: skip
CLOSE = 0.8  # similarity of names from which one is taken for a misspelling of the other


@dataclass(frozen=True)
class Settings:
    """How this page is hosted.

    Args:
        models: Names on offer where they can run here, in the catalogue's order.
        default_model: The one that is chosen at first; None leaves it to the machine.
        max_steps: Most denoising steps of a run.
        queue_size: How many visitors may wait; None for any number.
        auth: (user, password) pairs; empty lets everybody in. Kept out of the record's text.
        runs: Folder of the recorded runs.
        mcp: Whether the page is an MCP server as well.
    """

    models: tuple[str, ...] = tuple(CATALOGUE)
    default_model: str | None = None
    max_steps: int = MAX_STEPS
    queue_size: int | None = None
    auth: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    runs: Path = RUNS
    mcp: bool = False

    @classmethod
    def from_env(cls, variables: Mapping[str, str]) -> Settings:
        """Read them, as from `os.environ`. Empty ones count as left out.

        Raises:
            ConfigError: One cannot be used, or its name is nearly that of a variable. Passwords
                are never part of the message.
        """
        given = {
            name: value.strip()
            for name, value in variables.items()
            if name.startswith(PREFIX) and value.strip()
        }
        _refuse_misspelt(given)
        models = _models(given.get("BWCACHE_MODELS"))
        return cls(
            models,
            _default_model(given.get("BWCACHE_DEFAULT_MODEL"), models),
            _whole(given, "BWCACHE_MAX_STEPS", 2, MAX_STEPS) or MAX_STEPS,
            _whole(given, "BWCACHE_QUEUE_SIZE", 1, 10_000),
            _pairs(given.get("BWCACHE_AUTH")),
            _folder(given.get("BWCACHE_RUNS")),
            _switch(given.get("BWCACHE_MCP")),
        )

    def offered(self, available: Sequence[ModelSpec]) -> list[ModelSpec]:
        """Those of the models that can run here which are on offer; the one chosen at first leads.

        Raises:
            ConfigError: None is left.
        """
        specs = [spec for spec in available if spec.name in self.models]
        if not specs:
            runs_here = ", ".join(spec.name for spec in available)
            allowed = f"at least one that runs on this machine: {runs_here}"
            raise ConfigError("BWCACHE_MODELS", ",".join(self.models), allowed)
        return sorted(specs, key=lambda spec: spec.name != self.default_model)

    def steps(self, spec: ModelSpec) -> int:
        """A model's usual number of steps, as far as it is allowed."""
        return min(spec.steps, self.max_steps)

    def check(self, request: Request) -> None:
        """Refuse what this host does not allow.

        Raises:
            ConfigError: The model is not on offer, or there are too many steps.
        """
        if request.model not in self.models:
            raise ConfigError("model", request.model, ", ".join(self.models))
        if request.steps > self.max_steps:
            raise ConfigError("steps", request.steps, f"a whole number from 2 to {self.max_steps}")

    def launch_options(self) -> dict[str, object]:
        """What they change of `ui.launch`."""
        options: dict[str, object] = {}
        if self.auth:
            options["auth"] = list(self.auth)
        if self.mcp:
            options["mcp_server"] = True
        return options


def _refuse_misspelt(given: Mapping[str, str]) -> None:
    known = {name.removeprefix(PREFIX): name for name in VARIABLES}
    for name in given:
        short = name.removeprefix(PREFIX)
        close = difflib.get_close_matches(short, known, n=1, cutoff=CLOSE)
        if short not in known and close:
            raise ConfigError("environment", name, f"{known[close[0]]}, which is nearly this name")


def _models(text: str | None) -> tuple[str, ...]:
    if text is None:
        return Settings.models
    names = [part.strip() for part in text.split(",")]
    for name in names:
        if name not in CATALOGUE:
            allowed = f"names separated by commas, of {', '.join(CATALOGUE)}"
            raise ConfigError("BWCACHE_MODELS", name, allowed)
    return tuple(name for name in CATALOGUE if name in names)


def _default_model(name: str | None, models: tuple[str, ...]) -> str | None:
    if name is not None and name not in models:
        raise ConfigError(
            "BWCACHE_DEFAULT_MODEL", name, f"one of those on offer: {', '.join(models)}"
        )
    return name


def _whole(given: Mapping[str, str], name: str, low: int, high: int) -> int | None:
    text = given.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10 and low <= int(text) <= high):
        raise ConfigError(name, text, f"a whole number from {low} to {high}")
    return int(text)


def _pairs(text: str | None) -> tuple[tuple[str, str], ...]:
    if text is None:
        return ()
    pairs = [tuple(part.strip().split(":", 1)) for part in text.split(",")]
    for place, pair in enumerate(pairs, start=1):
        if len(pair) != 2 or not all(pair):
            allowed = "user:password pairs separated by commas, no comma inside one"
            raise ConfigError("BWCACHE_AUTH", f"pair {place} incomplete", allowed)
    if len({user for user, _ in pairs}) < len(pairs):
        raise ConfigError("BWCACHE_AUTH", "a user twice", "each user once")
    return tuple(pairs)


def _folder(text: str | None) -> Path:
    if text is None:
        return RUNS
    if not Path(text).is_dir():
        raise ConfigError("BWCACHE_RUNS", text, "a folder that is there, of recorded runs")
    return Path(text)


def _switch(text: str | None) -> bool:
    if text is not None and text.lower() not in SWITCH:
        raise ConfigError("BWCACHE_MCP", text, "on or off")
    return text is not None and SWITCH[text.lower()]

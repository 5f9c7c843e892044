"""What the host of the page may set: the `BWCACHE_…` environment variables, read once and checked.

Knows what each variable means and what it allows, not where it is used. `GRADIO_…` variables are
Gradio's own and not repeated here.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import field, fields
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    DirectoryPath,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic.dataclasses import dataclass

from ..errors import ConfigError
from ..models.catalogue import CATALOGUE
from ..models.spec import ModelSpec
from ..runs.recorded import RUNS
from ..runs.request import MAX_STEPS, Request

PREFIX = "BWCACHE_"
MOST_WAITING = 10_000
MOST_DEVICES = 64
LEAST_SECONDS, MOST_SECONDS = 10, 86_400
MOST_REQUESTS = 1_000_000
CLOSE = 0.8  # similarity of names from which one is taken for a misspelling of the other
ALLOWED = {  # field → what it may be, where pydantic finds what is wrong
    "max_steps": f"a whole number from 2 to {MAX_STEPS}",
    "queue_size": f"a whole number from 1 to {MOST_WAITING}",
    "runs": "a folder that is there, of recorded runs",
    "mcp": "on or off",
    "max_seconds": f"a whole number of seconds from {LEAST_SECONDS} to {MOST_SECONDS}",
    "max_requests": f"a whole number a minute and address from 10 to {MOST_REQUESTS}",
    "log_prompts": "on or off",
    "metrics": "on or off",
    "devices": "",  # `read_devices` says it
}


def _parts(text: object) -> object:
    return [part.strip() for part in text.split(",")] if isinstance(text, str) else text


def _in_the_catalogues_order(names: Sequence[str]) -> tuple[str, ...]:
    for name in names:
        if name not in CATALOGUE:
            allowed = f"names separated by commas, of {', '.join(CATALOGUE)}"
            raise ConfigError("BWCACHE_MODELS", name, allowed)
    return tuple(name for name in CATALOGUE if name in names)


DEVICE = re.compile(r"cpu|cuda(:(0|[1-9][0-9]{0,2}))?", re.ASCII)
DEVICES = "names separated by commas: cuda:0,cuda:1 for GPUs, each once, or cpu,cpu for processors"


def read_devices(text: object, name: str = "BWCACHE_DEVICES") -> tuple[str, ...]:
    """The devices to serve from, each with a name of its own: "cpu,cpu" is "cpu:0" and "cpu:1".

    Args:
        text: Names separated by commas.
        name: What the host calls the setting.

    Raises:
        ConfigError: One is unknown, a GPU is named twice, or processors and GPUs are mixed.
    """
    names = _parts(text)
    if not isinstance(names, list | tuple):
        raise ConfigError(name, text, DEVICES)
    if len(names) > MOST_DEVICES:
        raise ConfigError(name, f"{len(names)} devices", f"{MOST_DEVICES} at most; {DEVICES}")
    for each in names:
        if not isinstance(each, str) or not DEVICE.fullmatch(each):
            raise ConfigError(name, each, DEVICES)
    if len(set(names)) == 1 and names[0] == "cpu":
        return tuple(f"cpu:{at}" for at in range(len(names))) if len(names) > 1 else ("cpu",)
    gpus = ["cuda:0" if each == "cuda" else each for each in names]
    for each in gpus:
        if each == "cpu" or gpus.count(each) > 1:
            fault = "cpu beside a GPU" if each == "cpu" else f"{each} twice"
            raise ConfigError(name, fault, DEVICES)
    return tuple(names)


def _pairs(text: object) -> object:
    """(user, password) pairs; passwords are never part of a message."""
    if not isinstance(text, str):
        return text
    pairs = [tuple(part.strip().split(":", 1)) for part in text.split(",")]
    for number, pair in enumerate(pairs, start=1):
        if len(pair) != 2 or not all(pair):
            allowed = "user:password pairs separated by commas, no comma inside one"
            raise ConfigError("BWCACHE_AUTH", f"pair {number} incomplete", allowed)
    if len({user for user, _ in pairs}) < len(pairs):
        raise ConfigError("BWCACHE_AUTH", "a user twice", "each user once")
    return pairs


@dataclass(frozen=True, config=ConfigDict(hide_input_in_errors=True))
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
        max_seconds: Most seconds of a run at the model; it ends at its next step then.
        max_requests: Most requests a minute from one address.
        log_prompts: Whether the log's lines hold prompts; they say how long they were else.
        metrics: Whether `/metrics` has counters for Prometheus.
        devices: Their names, each with its own replica of a model; empty for the best there is.
    """

    models: Annotated[
        tuple[str, ...], BeforeValidator(_parts), AfterValidator(_in_the_catalogues_order)
    ] = tuple(CATALOGUE)
    default_model: str | None = None
    max_steps: Annotated[int, Field(ge=2, le=MAX_STEPS)] = MAX_STEPS
    queue_size: Annotated[int, Field(ge=1, le=MOST_WAITING)] | None = None
    auth: Annotated[tuple[tuple[str, str], ...], BeforeValidator(_pairs)] = field(
        default=(), repr=False
    )
    runs: DirectoryPath = RUNS
    mcp: bool = False
    max_seconds: Annotated[int, Field(ge=LEAST_SECONDS, le=MOST_SECONDS)] = 3600
    max_requests: Annotated[int, Field(ge=10, le=MOST_REQUESTS)] = 3000
    log_prompts: bool = False
    metrics: bool = False
    devices: Annotated[tuple[str, ...], BeforeValidator(read_devices)] = ()

    @field_validator("default_model")
    @classmethod
    def _on_offer(cls, name: str | None, info: ValidationInfo) -> str | None:
        offered = info.data.get("models", ())
        if name is not None and name not in offered:
            allowed = f"one of those on offer: {', '.join(offered)}"
            raise ConfigError("BWCACHE_DEFAULT_MODEL", name, allowed)
        return name

    @classmethod
    def from_env(cls, variables: Mapping[str, str]) -> Settings:
        """Read them, as from `os.environ`. Empty ones count as left out.

        Raises:
            ConfigError: One cannot be used, or its name is nearly that of a variable. Passwords
                are never part of the message.
        """
        known = {name.removeprefix(PREFIX): name for name in VARIABLES}
        given: dict[str, Any] = {
            name.removeprefix(PREFIX): value.strip()
            for name, value in variables.items()
            if name.startswith(PREFIX) and value.strip()
        }
        for name in given.keys() - known.keys():
            if close := difflib.get_close_matches(name, known, n=1, cutoff=CLOSE):
                allowed = f"{known[close[0]]}, which is nearly this name"
                raise ConfigError("environment", PREFIX + name, allowed)
        try:
            return cls(**{name.lower(): value for name, value in given.items() if name in known})
        except ValidationError as error:
            first = error.errors()[0]
            if isinstance(ours := first.get("ctx", {}).get("error"), ConfigError):
                raise ours from None
            name = str(first["loc"][0])
            raise ConfigError(PREFIX + name.upper(), first["input"], ALLOWED[name]) from None

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


# the Space's card has a table of what each allows
VARIABLES = tuple(PREFIX + each.name.upper() for each in fields(Settings))

"""What the page runs on, what it offers there, and what its host allows. Knows no component."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from ..errors import ConfigError
from ..models.fit import Fit, default, offers
from ..models.machine import Machine, this_machine
from ..models.spec import ModelSpec
from ..runs.baselines import BaselineStore
from ..runs.request import Request
from ..space.host_settings import Settings
from ..space.quota import Cost
from . import form

VISITORS_AT_ONCE = 8  # on ZeroGPU, where each is lent a card; elsewhere there is one to share

Price = Callable[[Request, BaselineStore, object], Cost]


@dataclass(frozen=True)
class Host:
    """Where the page is served.

    Args:
        device: "cpu" or "cuda", where the models run; the first of several.
        settings: What the host set.
        price: What a run asks of the visitor's quota, given the request, the visitor's store and
            Gradio's request; None where nobody counts.
        devices: The names of several devices, each with its own replica of a model; empty for one.
    """

    device: str = "cpu"
    settings: Settings = field(default_factory=Settings)
    price: Price | None = None
    devices: tuple[str, ...] = ()

    @cached_property
    def machine(self) -> Machine:
        return this_machine(self.device)

    @cached_property
    def _offers(self) -> list[tuple[ModelSpec, Fit]]:
        return offers(self.machine)

    @cached_property
    def specs(self) -> list[ModelSpec]:
        """The models on offer; the one that a visitor finds chosen leads.

        Raises:
            ConfigError: The host allows none that runs here.
        """
        running = [spec for spec, fit in self._offers if fit.offload is not None]
        specs = self.settings.offered(running)
        if self.settings.default_model is None:
            chosen = default(self.machine, specs).name
            specs = sorted(specs, key=lambda spec: spec.name != chosen)
        return specs

    @property
    def refused(self) -> list[tuple[ModelSpec, Fit]]:
        """The models that the host allows and that do not run here, each with the reason."""
        allowed = self.settings.models
        return [(s, fit) for s, fit in self._offers if fit.offload is None and s.name in allowed]

    @property
    def takes_images(self) -> bool:
        """Whether a model on offer starts from a picture."""
        return any(spec.image != "none" for spec in self.specs)

    @property
    def places(self) -> int:
        """How many comparisons may run at once."""
        return VISITORS_AT_ONCE if self.machine.zerogpu else max(1, len(self.devices))

    def read(self, given: form.Given) -> Request:
        """The request that the form describes, as far as the host allows it.

        Raises:
            ConfigError: A field cannot be used, or is more than the host allows.
        """
        return self._allowed(form.read(self._completed(given)))

    def read_subject(self, given: form.Given, image: bytes | None) -> Request:
        """The same without the method, with a picture that has been checked already."""
        return self._allowed(form.read_subject(self._completed(given), image))

    def _completed(self, given: form.Given) -> form.Given:
        name = given.get("model", Request.model)
        spec = next((spec for spec in self.specs if spec.name == name), None)
        if spec is None:
            raise ConfigError("model", name, ", ".join(spec.name for spec in self.specs))
        return {"steps": self.settings.steps(spec), **given}

    def _allowed(self, request: Request) -> Request:
        self.settings.check(request)
        return request

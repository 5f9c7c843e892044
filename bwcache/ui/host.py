"""What the page runs on, what it offers there, and what its host allows. Knows no component."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from ..models import fit as placement
from ..models.fit import Fit
from ..models.machine import Machine, this_machine
from ..models.spec import ModelSpec
from ..runs.request import Request
from ..space.host_settings import Settings
from ..space.quota import Cost
from . import form
from .sessions import Store

VISITORS_AT_ONCE = 8  # on ZeroGPU, where each is lent a card; elsewhere there is one to share

Price = Callable[[Request, Store, object], Cost]


@dataclass(frozen=True)
class Host:
    """Where the page is served.

    Args:
        device: "cpu" or "cuda", where the models run.
        settings: What the host set.
        price: What a run asks of the visitor's quota, given the request, the visitor's store and
            Gradio's request; None where nobody counts.
    """

    device: str = "cpu"
    settings: Settings = field(default_factory=Settings)
    price: Price | None = None

    @cached_property
    def machine(self) -> Machine:
        return this_machine(self.device)

    @cached_property
    def _offers(self) -> list[tuple[ModelSpec, Fit]]:
        return placement.offers(self.machine)

    @cached_property
    def specs(self) -> list[ModelSpec]:
        """The models on offer; the one that a visitor finds chosen leads.

        Raises:
            ConfigError: The host allows none that runs here.
        """
        running = [spec for spec, fit in self._offers if fit.offload is not None]
        specs = self.settings.offered(running)
        if self.settings.default_model is None:
            chosen = placement.default(self.machine, specs).name
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
        return VISITORS_AT_ONCE if self.machine.zerogpu else 1

    def read(self, *values: object) -> Request:
        """The request that the form describes, as far as the host allows it.

        Raises:
            ConfigError: A field cannot be used, or is more than the host allows.
        """
        request = form.read(*values)
        self.settings.check(request)
        return request

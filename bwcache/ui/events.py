"""What leads to what on the page: its buttons, and the fields that follow one another.

A click's first event reads the form, once, and checks it; the later ones get what it made. Inputs
are sets of components, so that a handler gets their values by name and no order matters.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import gradio as gr

from .. import models
from ..cache.method import Method
from ..cache.methods import find_method
from ..errors import ConfigError, MachineError
from ..models import ModelSpec
from ..models import start_picture as picture
from ..runs import panel_rows
from ..runs.baselines import BaselineStore, Compare
from ..runs.consume import consume
from ..runs.events import ComparisonFinished
from ..runs.panel_rows import PanelRows
from ..runs.request import Request
from ..runs.result_files import save
from . import form, languages, prompt_menus
from .advice import Adviser, no_device, note
from .fields import Components, knob_update, preset_choices
from .finder import GOAL_KIND, GOAL_VALUE, GOALS, Finder
from .handlers import FILE_ROUTE, Given, Handlers, Job, Refused, buttons, checked
from .host import Host
from .languages import label
from .line import Line
from .model_choice import METHOD_PARTS, MODEL_PARTS, of_method, of_model
from .results import Results
from .sessions import Visitors

MODEL_QUEUE = "model"  # the place where programs wait for the model
RESULT = "run"  # of an address: the id of a result
LOOK = 0.05  # seconds between two looks at what is new
HIDDEN: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
AT_ONCE = {"queue": False, **HIDDEN}
SUBJECT = ("model", "steps", "seed", "random_weights")  # read at once; the prompt when it is left


class Named:
    """The values of components by name, as events take and give them.

    Args:
        components: By name.
    """

    def __init__(self, components: Components):
        self._components = components
        self._names = {component: name for name, component in components.items()}

    def inputs(self, *names: str) -> set[gr.components.Component]:
        """What an event takes as `inputs`; all of them where none is named."""
        return {self._components[name] for name in names or self._components}

    def given(self, values: Mapping[gr.components.Component, object]) -> dict[str, object]:
        """The values that the event's handler gets, by name."""
        return {self._names[component]: value for component, value in values.items()}

    def outputs(self, names: Iterable[str]) -> list[gr.components.Component]:
        """What an event takes as `outputs`."""
        return [self._components[name] for name in names]

    def updates(self, found: Mapping[str, object]) -> dict[gr.components.Component, object]:
        """What the event's handler gives; components without an update stay as they are."""
        return {self._components[name]: update for name, update in found.items()}


def comparison_job(compare: Compare, host: Host, publish: Callable[[Path], str]) -> Job[Request]:
    """What Generate starts.

    Args:
        compare: Makes comparisons.
        host: Where the page is served.
        publish: Copies a file to where the page may fetch it, under a name that owes nothing to
            the visitor; returns its new path.
    """

    def begin(request: Request) -> Mapping[str, object]:
        return panel_rows.begin("", request, models.find(request.model))

    def rows(
        request: Request, store: BaselineStore, language: str, device: str | None = None
    ) -> Generator[Mapping[str, object], None, object]:
        say = languages.say_verdict(language)
        events = compare(request, store, device or host.device)
        return consume(events, PanelRows(files, request.config, say))

    def files(finished: ComparisonFinished) -> dict[str, str]:
        with tempfile.TemporaryDirectory(prefix="bwcache-") as folder:
            written = save(finished, Path(folder))
            return {name: f"{FILE_ROUTE}{publish(path)}" for name, path in written.items()}

    return Job(host.read, begin, rows, "", "a comparison", lambda request: request)


def whole(publish: Callable[[Path], str | None]) -> Callable[[Path], str]:
    """As `publish`, where the copy has been looked at.

    Raises:
        MachineError: There is none, or it is not all of the file.
        OSError: The disk is full.
    """

    def published(path: Path) -> str:
        copy = publish(path)
        if copy is None or Path(copy) == path or Path(copy).stat().st_size != path.stat().st_size:
            raise MachineError("a file could not be copied to where visitors fetch it")
        return copy

    return published


def wire_job(
    handlers: Handlers,
    named: Named,
    panel: gr.HTML,
    start: gr.Button,
    stop: gr.Button,
    page: gr.Blocks | None = None,
) -> gr.events.Dependency:
    """A button starts a job, and another one stops it.

    Args:
        handlers: What both do.
        named: The fields that are read.
        panel: Shows the job.
        start, stop: The buttons.
        page: Shows a job that its address names once more, under way or finished; None never.

    Returns:
        The event that is over when the job is done.
    """
    asked, shown = gr.State(), [panel, start, stop]

    # Gradio fills in a request by its annotation, so each handler gets a wrapper here.
    def on_enter(request: gr.Request, values: dict):
        of = (languages.of(request), request.session_hash)
        try:
            yield handlers.enter(named.given(values), *of)
        except Refused as refused:
            yield None, [refused.row], *buttons(running=False)
            raise

    async def on_run(request: gr.Request, what):
        async for update in followed(handlers, what, request):
            yield update

    async def on_load(request: gr.Request):
        if result := request.query_params.get(RESULT):
            async for update in followed(handlers, result, request):
                yield update
        else:
            yield gr.skip(), gr.skip(), gr.skip()

    def on_stop(request: gr.Request):
        return handlers.stop(languages.of(request), request.session_hash)

    entered = start.click(
        on_enter,
        named.inputs(),
        [asked, *shown],
        concurrency_limit=None,
        **HIDDEN,
    )
    # "multiple": with "once", a run that was stopped bars the next until its last step has ended.
    run = entered.success(
        on_run, asked, shown, trigger_mode="multiple", concurrency_limit=None, **HIDDEN
    )
    under_way = [entered, run]
    if page is not None:
        under_way.append(page.load(on_load, None, shown, concurrency_limit=None, **HIDDEN))
    stop.click(on_stop, None, shown, cancels=under_way, **AT_ONCE)
    return run


async def followed(handlers: Handlers, asked: str | None, request: gr.Request):
    """What a visitor gets to see of a job, without a thread that waits for it."""
    of = (request.session_hash, languages.of(request))
    with closing(handlers.poll(asked, *of)) as updates:  # type: ignore[type-var]
        for update in updates:
            if update is None:
                await asyncio.sleep(LOOK)
            else:
                yield update


def wire_goal(finder: Finder) -> None:
    """The goal's number follows its kind."""

    def on_kind(chosen):
        return gr.update(value=GOALS[chosen], label=label(f"finder_value_{chosen}"))

    finder.kind.input(on_kind, finder.kind, finder.value, **AT_ONCE)


def searched(fields: Components, finder: Finder) -> Named:
    """The fields that a search reads."""
    return Named({**fields, GOAL_KIND: finder.kind, GOAL_VALUE: finder.value})


def wire_advice(
    page: gr.Blocks,
    adviser: Adviser,
    fields: Components,
    panel: gr.HTML,
    advice: gr.Markdown,
    changed: Iterable[gr.events.Dependency],
    finished: Iterable[gr.events.Dependency],
) -> None:
    """The advice follows the form.

    What the uncached run depends on is read when it changes, the prompt when it has been typed,
    and a picture is decoded once. The method's settings are read alone.

    Args:
        page: The page.
        adviser: Says it.
        fields: The form's.
        panel: Its `input` event says that another language is chosen.
        advice: Where it stands.
        changed: Events that change the form.
        finished: Events after which there is more to say.
    """
    named = Named(fields)
    image, subject = gr.State(), gr.State()
    knobs = ("model", "method", "control", *form.settings_by_name())

    def on_picture(path):
        return read_picture(path)

    def on_subject(values: dict):
        kept = values.pop(image)
        return adviser.subject(named.given(values), kept)

    def on_settings(request: gr.Request, values: dict):
        kept = values.pop(subject)
        of = (request.session_hash, languages.of(request), request)
        return adviser.advice(kept, named.given(values), *of)

    def then_subject(event: gr.events.Dependency) -> None:
        read = event.then(on_subject, subject_inputs, subject, **AT_ONCE)
        read.then(on_settings, settings_inputs, advice, **AT_ONCE)

    subject_inputs = named.inputs(*SUBJECT, "prompt") | {image}
    settings_inputs = named.inputs(*knobs) | {subject}
    seen = fields["image"].change(on_picture, fields["image"], image, **AT_ONCE)
    changes = [fields[name].change for name in SUBJECT]
    left = [fields["prompt"].blur, fields["prompt"].submit]
    read = gr.on(
        [page.load, *changes, *left],
        on_subject,
        subject_inputs,
        subject,
        trigger_mode="always_last",
        **AT_ONCE,
    )
    read.then(on_settings, settings_inputs, advice, **AT_ONCE)
    for event in (seen, *changed):
        then_subject(event)
    for event in finished:
        event.success(on_settings, settings_inputs, advice, **AT_ONCE)
    gr.on(
        [panel.input, *(fields[name].change for name in knobs if name != "model")],
        on_settings,
        settings_inputs,
        advice,
        trigger_mode="always_last",
        **AT_ONCE,
    )


def read_picture(path: str | None) -> bytes | None:
    """An uploaded picture's bytes; None where there is none or it cannot be used."""
    try:
        return picture.read(path)
    except ConfigError:
        return None


def wire_model(
    page: gr.Blocks, fields: Components, host: Host, line: Line | None = None
) -> list[gr.events.Dependency]:
    """Method, presets, examples and the rest follow the model; settings follow the method.

    Args:
        page: The page, whose loading renews the note: what a run takes may be known by now.
        fields: Those of the form, `header` and `note`.
        host: Where the page is served.
        line: In front of the model; a page that is loaded says so where no device is left.

    Returns:
        The events that change what the uncached run depends on.
    """
    named = Named(fields)
    settings = tuple(form.settings_by_name())

    def on_model(values: dict):
        given = named.given(values)
        spec, method = _chosen(given)
        return named.updates(of_model(spec, method, host))

    def on_method(values: dict):
        return named.updates(of_method(*_chosen(named.given(values))))

    def on_load(name):
        found = note(models.find(name), host.machine, host.refused)
        return no_device() + found if line is not None and line.out_of_service else found

    def on_preset(values: dict):
        given = named.given(values)
        spec, method = _chosen(given)
        found = form.preset_settings(spec, method, given["presets"])
        return named.updates(form.shown_by_name(method, found))

    def on_settings(values: dict):
        given = named.given(values)
        return form.matching_preset(*_chosen(given), given)

    def on_example(row):
        return row[0]

    chosen = named.inputs("model", "method")
    model = fields["model"].input(on_model, chosen, named.outputs(MODEL_PARTS), **AT_ONCE)
    fields["method"].input(on_method, chosen, named.outputs(METHOD_PARTS), **AT_ONCE)
    page.load(on_load, fields["model"], fields["note"], **AT_ONCE)
    fields["presets"].input(
        on_preset, named.inputs("model", "method", "presets"), named.outputs(settings), **AT_ONCE
    )
    gr.on(
        [fields[name].input for name in settings],
        on_settings,
        named.inputs("model", "method", *settings),
        fields["presets"],
        trigger_mode="always_last",
        **AT_ONCE,
    )
    example = fields["examples"].click(on_example, fields["examples"], fields["prompt"], **AT_ONCE)
    return [model, example]


def wire_prompt(fields: Components) -> list[gr.events.Dependency]:
    """Menus and dice write the prompt; the menus follow what is typed.

    Returns:
        The events that change what the uncached run depends on.
    """
    named = Named(fields)
    menus = prompt_menus.names()

    def on_menu(values: dict):
        return named.updates(prompt_menus.build(named.given(values)))

    def on_prompt(text):
        return named.updates(prompt_menus.follow(text))

    def on_dice(name):
        return named.updates(prompt_menus.throw(checked(models.find, name)))

    prompt, written = fields["prompt"], named.outputs(("prompt", *menus))
    gr.on([prompt.blur, prompt.submit], on_prompt, prompt, named.outputs(menus), **AT_ONCE)
    dice = fields["dice"].click(
        on_dice, fields["model"], named.outputs(("prompt", "seed", *menus)), **AT_ONCE
    )
    if not menus:
        return [dice]
    chosen = gr.on(
        [fields[name].input for name in menus],
        on_menu,
        named.inputs(*menus),
        written,
        trigger_mode="always_last",
        **AT_ONCE,
    )
    return [dice, chosen]


def _chosen(given: Given) -> tuple[ModelSpec, type[Method]]:
    return checked(models.find, given.get("model")), checked(find_method, given.get("method"))


def wire_use(panel: gr.HTML, fields: Components) -> None:
    """A panel's button puts settings that were tried or foretold into the form."""
    named = Named(fields)

    def on_use(values: dict, event: gr.EventData):
        given = named.given(values)
        method, found = checked(form.chosen, event._data, given["model"])
        spec = models.find(given["model"])
        if method.name == given["method"]:  # what is not among them stays as it is
            updates = {name: gr.update(**knob_update(spec, method, name, found)) for name in found}
            presets = preset_choices(spec, method, {**given, **found})
            return named.updates({**updates, "presets": gr.update(**presets)})
        return named.updates({"method": method.name, **of_method(spec, method, found)})

    panel.submit(
        on_use,
        named.inputs("model", "method", *form.settings_by_name()),
        named.outputs(["method", *METHOD_PARTS]),
        concurrency_limit=None,
        **HIDDEN,
    )


def wire_leaving(page: gr.Blocks, visitors: Visitors, results: Iterable[Results]) -> None:
    """Whoever leaves is forgotten; what they had made is kept for a while."""

    def on_leave(request: gr.Request):
        visitors.forget(request.session_hash)
        for each in results:
            each.forget(request.session_hash)

    page.unload(on_leave)

"""Links to settings: the button that copies one, and what happens to one that comes in."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import gradio as gr

from .. import models
from ..cache.method import Method
from ..cache.methods import find_method
from ..errors import ConfigError
from ..models import ModelSpec
from ..runs.request import MAX_STEPS, Request
from . import form, languages
from .code_lines import code_lines
from .events import HIDDEN, SUBJECT, Named
from .fields import Components
from .handlers import checked
from .host import Host
from .model_choice import MODEL_PARTS, of_model
from .panel import STATIC, address

LINKED = tuple(name for name, field in form.FIELDS.items() if field.linked)
WAYS = tuple(name for name in LINKED if form.FIELDS[name].kind in ("switch", "choice"))
WEIGHTS = "weights"  # of an address: the version of the model's weights it was made with
LONGEST = 24  # characters of a number or a choice
LETTERS = {  # settings with a letter a step
    name for name, owners in form.knobs().items() if any(k.kind == "mask" for k in owners.values())
}
BOX = (
    "<div class='bw-link' hidden><output></output>"
    "<input type='text' readonly hidden aria-label='link'></div>"
)
# Settings of other methods than the chosen one are left out.
CALL = """(...values) => {
  const root = (window.gradio_config?.root || "").replace(/\\/$/, "");
  const { names, owners, versions, catalogues } = %(known)s;
  const given = Object.fromEntries(names.map((name, i) => [name, values[i]]));
  const kept = names.filter((name) => !owners[name] || owners[name].includes(given.method));
  const linked = [...kept, %(weights)s];
  const all = [...names, %(weights)s];
  given[%(weights)s] = versions[given.model] ?? "1";
  import(root + %(module)s).then(({ %(call)s }) => %(call)s(
    { names: linked, all, catalogues }, linked.map((name) => given[name]), %(ready)s,
  ));
  return [];
}"""


def call(module: str, function: str, ready: bool = True) -> str:
    """JavaScript that hands the form's values to a function of a module; it asks no server."""
    owners = {name: list(of) for name, of in form.settings_by_name().items()}
    known = {
        "names": LINKED,
        "owners": owners,
        "versions": {spec.name: spec.version for spec in models.CATALOGUE.values()},
        "catalogues": languages.for_browser("link"),
    }
    return CALL % {
        "weights": json.dumps(WEIGHTS),
        "module": json.dumps(address(STATIC / "page" / module)),
        "known": json.dumps(known),
        "call": function,
        "ready": json.dumps(ready),
    }


def add_link_button(fields: Components) -> None:
    """Put the button where the page now stands. It asks no server."""
    button = gr.Button(languages.label("copy_link"), size="sm", elem_id="bw-copy-link")
    gr.HTML(BOX, elem_id="bw-link", apply_default_css=False)
    linked = [fields[name] for name in LINKED]
    button.click(None, linked, None, js=call("permalink.js", "copyLink"), **HIDDEN)


def add_code(fields: Components, host: Host) -> None:
    """The button that shows the settings as Python, and its place; changes of the form hide it."""
    button = gr.Button(languages.label("show_code"), size="sm", elem_id="bw-show-code")
    code = gr.Code(
        language="python",
        label=languages.label("code"),
        visible=False,
        interactive=False,
        elem_id="bw-code",
    )
    asked = {name: fields[name] for name in form.FIELDS if name in fields}
    named = Named(asked)

    def on_show(request: gr.Request, values: dict):
        of = languages.of(request)
        found = checked(host.read, named.given(values), language=of)
        return gr.update(value=code_lines(found, host.device), visible=True)

    button.click(on_show, named.inputs(), code, concurrency_limit=None, **HIDDEN)
    hide = "() => ({ __type__: 'update', visible: false })"
    changes = [field.change for field in asked.values()]
    gr.on(changes, None, None, code, js=hide, **HIDDEN)


def wire_link(
    page: gr.Blocks, fields: Components, host: Host, panel: gr.HTML
) -> list[gr.events.Dependency]:
    """At the page's loading, put the address's settings into the form; say what is ignored.

    From then on the address follows the form. The panel's button "use these settings" does with a
    run's settings what an address does.

    Args:
        page: The page.
        fields: Those of the form, `header` and `note`.
        host: Where it is served.
        panel: Its `select` event carries a run's settings, named as in an address.

    Returns:
        The events that change the form.
    """
    parts = tuple(dict.fromkeys((*MODEL_PARTS, *SUBJECT, *WAYS)))
    named = Named(fields)

    def updates(params: Mapping[str, str], request: gr.Request):
        good, bad = read(params, host.specs)
        if bad:
            say = languages.say(languages.of(request))
            gr.Warning(say("page.link_ignored", names=", ".join(bad)), title=languages.TITLE)
        if not good:
            return {fields["model"]: gr.skip()}
        if is_of_earlier_weights(params, good):
            say = languages.say(languages.of(request))
            title = models.find(good["model"]).title
            gr.Warning(say("page.link_earlier", model=title), title=languages.TITLE)
        spec, method = models.find(good["model"]), find_method(good["method"])
        plain = {name: good[name] for name in parts if name in good and name != "method"}
        settings = {knob.name for knob in form.settings(method)}
        followed = of_model(spec, method, host, good)
        shown = {name: value for name, value in plain.items() if name not in settings}
        return named.updates({**followed, **shown})

    def on_load(request: gr.Request):
        return updates(dict(request.query_params), request)

    def on_use(request: gr.Request, event: gr.EventData):
        given = event._data if isinstance(event._data, dict) else {}
        return updates({name: str(value) for name, value in given.items()}, request)

    outputs = named.outputs(parts)
    # Through the queue, where it waits for nobody: without, a warning would not reach the page.
    loaded = page.load(on_load, None, outputs, concurrency_limit=None, **HIDDEN)
    used = panel.select(on_use, None, outputs, concurrency_limit=None, **HIDDEN)
    linked = [fields[name] for name in LINKED]
    loaded.then(None, linked, None, js=call("address.js", "formChanged"), **HIDDEN)
    gr.on(
        [fields[name].change for name in LINKED],
        None,
        linked,
        None,
        js=call("address.js", "formChanged", ready=False),
        **HIDDEN,
    )
    return [loaded, used]


def read(
    params: Mapping[str, str], specs: Sequence[ModelSpec]
) -> tuple[dict[str, object], list[str]]:
    """What an address asks for.

    Args:
        params: Its query. Names that are no field's are for others.
        specs: The models on offer; the first is taken where none is asked for.

    Returns:
        The settings that can be used, by name, and the names of those that cannot. Where there is
        any, "model" and "method" are among the former.
    """
    names = {name: form.FORMER_NAMES.get(name, name) for name in params}
    given = {name: str(params[name]) for name in params if names[name] in LINKED}
    if not given:
        return {}, []
    spec = next((one for one in specs if one.name == given.get("model")), None)
    bad = ["model"] if "model" in given and spec is None else []
    spec = spec or specs[0]
    offered = form.offered_methods(spec)
    method = next((one for one in offered if one.name == given.get("method")), None)
    bad += ["method"] if "method" in given and method is None else []
    method = method or offered[0]
    good: dict[str, object] = {"model": spec.name, "method": method.name}
    for name, text in given.items():
        if name in ("model", "method"):
            continue
        try:
            good[names[name]] = _value(spec, method, names[name], text)
        except ConfigError:
            bad.append(name)
    return good, bad


def is_of_earlier_weights(params: Mapping[str, str], good: Mapping[str, object]) -> bool:
    """Whether an address holds settings that were chosen for other weights of its model.

    One that only names a model, or a prompt, was not.
    """
    made_for = {name for name in good if name not in ("model", "method", "prompt")}
    version = params.get(WEIGHTS, "1")
    return bool(made_for) and version != models.find(good["model"]).version


def _value(spec: ModelSpec, method: type[Method], name: str, text: str) -> object:
    """One field's value, checked beside the model's own settings."""
    field = form.FIELDS[name]
    text = text.strip()
    if field.kind == "text":
        request = Request(text, spec.name)
        models.check_prompt(spec, request.prompt)
        return request.prompt
    if len(text) > (MAX_STEPS if name in LETTERS else LONGEST):  # nothing that anybody meant
        raise ConfigError(name, text, "a shorter text")
    if field.kind == "whole":
        value = int(text) if text.isascii() and text.isdigit() else text
        field.check(value)
        return value
    if field.kind == "switch":
        if text not in ("true", "false"):
            raise ConfigError(name, text, "true or false")
        return text == "true"
    if field.kind == "choice":
        text = form.FORMER_CHOICES.get(text, text)
        if text not in field.choices:
            raise ConfigError(name, text, ", ".join(field.choices))
        return text
    if name not in {knob.name for knob in form.settings(method)}:
        raise ConfigError(name, text, f"a setting of {method.title}")
    return method.knob(name).read(text)

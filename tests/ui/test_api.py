"""The API: what programs may call, what they get, and that nothing else is open to them."""

import json
import math
import re
import tempfile
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import gradio as gr
import httpx
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from bwcache.cache import predict as whatif
from bwcache.cache.methods import METHODS
from bwcache.cache.methods.bwcache import BWCacheConfig
from bwcache.cache.trace import TraceFile
from bwcache.cli import main
from bwcache.errors import ConfigError
from bwcache.files import finite
from bwcache.models import ModelError, find
from bwcache.models.progress import Loading
from bwcache.runs.request import Request
from bwcache.testing import FakeBackend
from bwcache.ui import Host, api
from bwcache.ui.api import Calls
from bwcache.ui.events import MODEL_QUEUE
from bwcache.ui.handlers import checked
from bwcache.ui.languages import CATALOGUE
from tests.ui.given import PROMPT
from tests.ui.serving import serving, wait_for

README = Path(__file__).parents[2] / "README.md"
KNOBS = {  # name → type, where the model's own is taken if it is left out
    "tail_fraction": ("None | float", None),
    "indicator_blocks": ("None | str", None),
    "indicator_tokens": ("None | str", None),
    "warm_up_steps": ("None | str", None),
    "max_consecutive": ("None | str", None),
    "step_mask": ("None | str", None),
    "work_share": ("None | float", None),
    "tolerance": ("None | float", None),
    "reach": ("None | float", None),
    "correction": ("None | float", None),
    "max_skip_steps": ("None | int", None),
    "retention_ratio": ("None | float", None),
    "ratios": ("None | list[float]", None),
    "calibration": ("None | str", None),
    "coefficients": ("None | list[float]", None),
    "period": ("None | int", None),
    "order": ("None | int", None),
    "self_every": ("None | int", None),
    "cross_every": ("None | int", None),
    "active_from": ("None | float", None),
    "active_until": ("None | float", None),
    "turn": ("None | float", None),
    "weight": ("None | float", None),
    "deviation": ("None | float", None),
    "block_share": ("None | float", None),
    "impacts": ("None | list[float]", None),
    "penalty": ("None | float", None),
    "updates": ("None | str", None),
    "computed_share": ("None | float", None),
    "union_blocks": ("None | int", None),
    "prune_above": ("None | float", None),
    "chunk_frames": ("None | int", None),
    "computed_blocks": ("None | int", None),
}
CHOICES = {
    "schedule": ("Literal['budget', 'tolerance']", "budget"),
    "signal": ("Literal['model', 'temb', 'hidden_states']", "model"),
    "granularity": ("Literal['stack', 'modules']", "stack"),
    "pattern": ("Literal['off', 'slow', 'medium', 'fast', 'ultra']", "medium"),
    "codebook": ("Literal['fast', 'slow']", "fast"),
    "motion": ("Literal['on', 'off']", "on"),
}
METHOD = (f"Literal[{', '.join(map(repr, METHODS))}]", "bwcache")
REUSE = ("Literal['residual', 'forecast', 'output']", "residual")
GATE = ("Literal['once', 'recheck']", "once")
# Name → (type, default); () where one must be given.
PARAMETERS = {
    "/compare": {
        "prompt": ("str",),
        "model": ("str", "tinyworld"),
        "threshold": ("None | float", None),
        "reuse_interval": ("None | str", None),
        "steps": ("None | int", None),
        "seed": ("int", 0),
        "reuse": REUSE,
        "gate": GATE,
        "control": ("bool | Literal['none', 'fewer', 'same-levels', 'shift']", "none"),
        "image": ("None | str", None),
        "method": METHOD,
        **KNOBS,
        **CHOICES,
        "random_weights": ("bool", False),
    },
    "/predict": {
        "trace": ("dict(str, Any) | str",),
        "threshold": ("None | float", None),
        "reuse_interval": ("None | str", None),
        "gate": (f"None | {GATE[0]}", None),
        "reuse": (f"None | {REUSE[0]}", None),
        "tail_fraction": ("None | float", None),
        "method": METHOD,
        **KNOBS,
        **{name: (f"None | {kind}", None) for name, (kind, _) in CHOICES.items()},
    },
}
GIVEN = {name: kind[-1] for name, kind in PARAMETERS["/compare"].items()} | {"prompt": PROMPT}
PREDICT = {name: kind[-1] for name, kind in PARAMETERS["/predict"].items()}
SAYS = CATALOGUE.say("en")


@pytest.fixture(scope="module")
def served():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_HEARTBEAT_INTERVAL", "0.1")  # how soon a leaving client is noticed
        with serving() as page:
            yield page


@pytest.fixture
def connect(served, tmp_path):
    """Makes clients of the served page, whose downloads go into a folder of the test's own."""
    made = []

    def new(address: str = served.address) -> Client:
        made.append(
            Client(address, verbose=False, analytics_enabled=False, download_files=tmp_path)
        )
        return made[-1]

    yield new
    for client in made:
        client.close()


@pytest.fixture
def no_files(tmp_path, monkeypatch):
    """A folder for temporary files where nothing may be left behind."""
    own = tmp_path / "temporary"
    own.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(own))
    yield
    assert not list(own.iterdir())


@pytest.fixture
def no_encoding(monkeypatch):
    """Saves no files, for tests that look at none; encoding takes most of a fake's time."""
    monkeypatch.setattr(api, "save", lambda finished, folder: {})


def of(backend=None, host: Host | None = None) -> Calls:
    return Calls(backend or FakeBackend(), host or Host(), str)


def run(calls: Calls, session: str | None = "a", **changes) -> list[dict]:
    return list(calls.compare(session, {**GIVEN, **changes}))


def recorded(steps: int = 30) -> TraceFile:
    finished = list(FakeBackend()(Request(PROMPT, steps=steps, config=BWCacheConfig(0.06))))[-1]
    return finished.trace_file


def test_exactly_two_endpoints_with_these_parameters(connect):
    shown = connect().view_api(return_format="dict")
    assert shown["unnamed_endpoints"] == {}
    found = {
        name: {
            one["parameter_name"]: (
                one["python_type"]["type"],
                *([one["parameter_default"]] if one["parameter_has_default"] else []),
            )
            for one in endpoint["parameters"]
        }
        for name, endpoint in shown["named_endpoints"].items()
    }
    assert found == PARAMETERS
    (files,) = shown["named_endpoints"]["/compare"]["returns"]
    for name in ("baseline", "cached", "difference", "trace"):
        assert f"{name}: filepath" in files["python_type"]["type"]


def test_the_published_description_names_no_more(served):
    paths = httpx.get(f"{served.address}gradio_api/openapi.json").json()["paths"]
    calls = {path.split("/call/")[1] for path in paths if "/call/" in path}
    assert calls == {
        "v2/compare", "v2/predict", "compare/{event_id}", "predict/{event_id}"
    }  # fmt: skip


def test_compare_takes_the_queues_one_place_and_predict_none(served):
    public = {fn.api_name: fn for fn in served.page.fns.values() if fn.api_visibility == "public"}
    assert public["compare"].concurrency_id == MODEL_QUEUE
    assert public["compare"].queue
    assert not public["predict"].queue


def test_a_client_gets_the_summary_and_the_files(connect):
    result = connect().predict(PROMPT, control=True, api_name="/compare")
    assert result["verdict"] == result["summary"]["verdict"]
    assert result["summary"]["prompt"] == PROMPT
    for name in ("baseline", "cached", "control", "difference"):
        assert Path(result[name]).name == f"{name}.mp4"
        assert b"ftyp" in Path(result[name]).read_bytes()[:16]
    trace = TraceFile.load(result["trace"])
    assert trace.cached.steps_reused == result["summary"]["steps_reused"] > 0


def test_what_a_client_gets_can_be_predicted_from(connect, tmp_path, capsys):
    client = connect()
    path = client.predict(PROMPT, steps=20, api_name="/compare")["trace"]
    text = Path(path).read_text(encoding="utf-8")
    by_text = client.predict(text, 0.06, "2", api_name="/predict")
    assert by_text == client.predict(json.loads(text), 0.06, "2", api_name="/predict")
    main(["predict", path, "--threshold", "0.06", "--reuse-interval", "2", "--json"])
    assert by_text == json.loads(capsys.readouterr().out)


def test_a_client_gets_one_clear_line(connect):
    client = connect()
    with pytest.raises(AppError, match=r"^steps: got 1; allowed is a whole number from 2 to 200$"):
        client.predict(PROMPT, steps=1, api_name="/compare")
    with pytest.raises(AppError, match=r"^trace file: not valid JSON"):
        client.predict("{", 0.1, api_name="/predict")


@pytest.mark.usefixtures("no_encoding")
def test_a_client_remembers_for_itself_until_it_leaves(connect):
    def remembered(client):
        result = client.predict(PROMPT, steps=5, api_name="/compare")
        return result["summary"]["baseline_remembered"]

    first, second = connect(), connect()
    assert [remembered(first), remembered(first), remembered(second)] == [False, True, False]
    second.session_hash = first.session_hash
    assert remembered(second)
    first.close()
    assert wait_for(lambda: not remembered(second))


def test_a_client_that_cancels_or_goes_away_stops_the_work(connect):
    backend = FakeBackend(pause=0.05)
    with serving(backend) as slow:
        job = connect(slow.address).submit(PROMPT, steps=200, api_name="/compare")
        assert wait_for(lambda: len(job.outputs()) > 2)
        assert job.outputs()[0] == {"stage": "baseline", "done": 1, "total": 200}
        job.cancel()
        assert wait_for(lambda: backend.closed == 1)

        call = f"{slow.address}gradio_api/call/compare"
        info = httpx.get(f"{slow.address}gradio_api/info").json()["named_endpoints"]["/compare"]
        data = [GIVEN[each["parameter_name"]] for each in info["parameters"]]
        event = httpx.post(f"{call}", json={"data": data}).json()
        with httpx.stream("GET", f"{call}/{event['event_id']}") as answer:
            next(answer.iter_lines())
        assert wait_for(lambda: backend.closed == 2)
    assert len(backend.requests) == 2


def test_the_readmes_three_lines_run(served, capsys):
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    (snippet,) = [block for block in blocks if "gradio_client" in block]
    lines = [line for line in snippet.splitlines() if line.strip()]
    assert len(lines) == 3
    space = {}
    try:
        exec(snippet.replace("http://127.0.0.1:7860", served.address), space)
    finally:
        space["client"].close()
    config = find("tinyworld").default_preset.config
    expected = list(FakeBackend()(Request(PROMPT, config=config)))[-1].summary.verdict
    assert capsys.readouterr().out.splitlines()[-1] == expected


def test_the_queue_cannot_be_passed_by(served):
    """What is queued takes no direct call, by whatever name or number it is called."""
    before = len(served.backend.requests)
    queued = [number for number, fn in served.page.fns.items() if fn.queue]
    assert len(queued) > 5
    with httpx.Client(base_url=served.address) as stranger:
        for number in queued:
            body = {"data": [PROMPT], "fn_index": number}
            assert stranger.post("gradio_api/run/any", json=body).status_code == 404
    assert len(served.backend.requests) == before


@pytest.mark.parametrize(
    "junk",
    [
        None,
        "../../etc/passwd",
        -1,
        {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}},
        [[{"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}]],
    ],
)
def test_private_handlers_do_no_more_for_strangers_than_for_the_page(served, junk):
    """Raw calls by number, which Gradio lets through: no run, no file, and the page goes on."""
    before = len(served.backend.requests)
    with httpx.Client(base_url=served.address, timeout=30) as stranger:
        for number, fn in served.page.fns.items():
            if fn.fn is not None:
                answer = raw_call(stranger, number, [junk] * len(fn.inputs))
                assert "gradio_api/file" not in answer, fn.name
                assert "Traceback" not in answer, fn.name
        assert stranger.get("").status_code == 200
    assert len(served.backend.requests) == before


def raw_call(stranger: httpx.Client, number: int, data: list) -> str:
    """What the queue answers to a call by a handler's number."""
    session = f"stranger{number}"
    body = {"data": data, "fn_index": number, "session_hash": session}
    joined = stranger.post("gradio_api/queue/join", json=body)
    if joined.status_code != 200:
        return joined.text
    told = []
    with stranger.stream("GET", f"gradio_api/queue/data?session_hash={session}") as answer:
        for line in answer.iter_lines():
            told.append(line)
            if "process_completed" in line:
                break
    return "\n".join(told)


@pytest.mark.usefixtures("no_encoding")
def test_left_out_settings_are_the_models_own():
    preset = find("tinyworld").default_preset.config
    backend = FakeBackend()
    run(of(backend))
    run(of(backend), threshold=0.2)
    run(of(backend), reuse_interval="3")
    run(of(backend), threshold=0.2, reuse_interval=0.25, steps=12, gate="recheck")
    configs = [request.config for request in backend.requests]
    assert [(one.threshold, one.reuse_interval) for one in configs] == [
        (preset.threshold, preset.reuse_interval),
        (0.2, BWCacheConfig.reuse_interval),
        (preset.threshold, 3),
        (0.2, 0.25),
    ]
    assert [request.steps for request in backend.requests] == [30, 30, 30, 12]
    assert configs[-1].gate == "recheck"


@pytest.mark.usefixtures("no_encoding")
def test_every_method_can_be_called():
    backend = FakeBackend()
    run(of(backend), method="first_block_cache", threshold=0.2)
    run(of(backend), method="magcache", ratios=[1.0, 1.02], max_skip_steps=2)
    first, second = (request.config for request in backend.requests)
    assert first == METHODS["first_block_cache"](threshold=0.2)
    assert second == METHODS["magcache"](
        ratios=(1.0, 1.02), max_skip_steps=2, calibration="tinyworld"
    )


@pytest.mark.usefixtures("no_files")
@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"prompt": ""}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"prompt": ["red"]}, "prompt"),
        ({"prompt": "red " * 500}, "prompt"),
        ({"threshold": math.nan}, "threshold"),
        ({"threshold": -0.1}, "threshold"),
        ({"threshold": "0.1"}, "threshold"),
        ({"threshold": True}, "threshold"),
        ({"reuse_interval": "often"}, "reuse_interval"),
        ({"reuse_interval": "9" * 5000}, "reuse_interval"),
        ({"reuse_interval": {}}, "reuse_interval"),
        ({"steps": 10**6}, "steps"),
        ({"steps": "30"}, "steps"),
        ({"seed": -1}, "seed"),
        ({"seed": None}, "seed"),
        ({"gate": ["once"]}, "gate"),
        ({"reuse": "blocks"}, "reuse"),
        ({"control": "no"}, "control"),
        ({"control": "shift", "model": "latte-1"}, "model"),  # not on offer here
        ({"model": "sora"}, "model"),
        ({"model": None}, "model"),
        ({"model": {"a": 1}}, "model"),
        ({"model": "../../etc"}, "model"),
        ({"method": "nothing"}, "method"),
        ({"method": "magcache", "calibration": "/etc/passwd"}, "calibration"),
        ({"method": "magcache", "ratios": ["1"]}, "ratios"),
        ({"method": "first_block_cache", "gate": "recheck"}, "gate"),
        ({"max_skip_steps": 3}, "max_skip_steps"),
        ({"image": "no base64!"}, "image"),
    ],
)
def test_bad_input_is_one_clear_line_and_starts_nothing(change, word):
    backend = FakeBackend()
    with pytest.raises(gr.Error) as caught:
        run(of(backend), **change)
    assert caught.value.message.startswith(f"{word}: got")
    assert "\n" not in caught.value.message
    assert not backend.requests


def test_a_model_that_the_page_does_not_offer_is_refused():
    with pytest.raises(gr.Error, match="model: got 'mochi-1'; allowed is tinyworld"):
        run(of(), model="mochi-1")


@pytest.mark.usefixtures("no_files")
@pytest.mark.parametrize(
    ("error", "said"),
    [
        (lambda: ModelError("model: not here"), "model: not here"),
        (lambda: ConfigError("prompt", "xyzzy", "a known word"), "prompt: got 'xyzzy'"),
        (lambda: RuntimeError("secret path"), SAYS("page.failed")),
    ],
)
def test_a_failing_run_says_so_and_no_more(error, said):
    with pytest.raises(gr.Error) as caught:
        run(of(FakeBackend(fail_at=3, error=error)))
    assert caught.value.message.startswith(said)
    assert "secret" not in caught.value.message


@pytest.mark.usefixtures("no_files")
def test_closing_the_call_closes_the_comparison():
    backend = FakeBackend()
    with closing(of(backend).compare("a", GIVEN)) as call:
        next(call)
    assert backend.closed == 1


@pytest.mark.usefixtures("no_files", "no_encoding")
def test_what_is_being_done_is_told_as_it_goes_on():
    def loads_first(request, store, device):
        yield Loading("download", 5, 10)
        yield from FakeBackend()(request, store, device)

    *told, result = run(of(loads_first), steps=4)
    assert told[0] == {"stage": "download", "done": 5, "total": 10}
    for stage in ("baseline", "cached"):  # in turns
        steps = [each for each in told if each["stage"] == stage]
        assert steps == [{"stage": stage, "done": i, "total": 4} for i in range(1, 5)]
    assert [each["stage"] for each in told[1:3]] == ["baseline", "cached"]
    assert result["control"] is None
    json.dumps(result["summary"], allow_nan=False)


@pytest.mark.usefixtures("no_encoding")
def test_callers_without_a_session_are_not_remembered():
    page = of()
    results = [run(page, session)[-1] for session in (None, None, "a", "a", "b")]
    remembered = [result["summary"]["baseline_remembered"] for result in results]
    assert remembered == [False, False, False, True, False]
    page.forget("a")
    assert not run(page, "a")[-1]["summary"]["baseline_remembered"]


def predict(trace: object, threshold: object, **changes: object) -> dict:
    given = {**PREDICT, "trace": trace, "threshold": threshold, **changes}
    return checked(api.forecast, given)


@pytest.mark.parametrize("gate", ["once", "recheck"])
def test_predict_says_what_whatif_says(gate):
    trace = recorded()
    config = BWCacheConfig(0.06, 3, tail_fraction=0.25, gate=gate)
    expected = finite(asdict(whatif.predict(trace.baseline, config)))
    found = predict(trace.dumps(), 0.06, reuse_interval="3", gate=gate, tail_fraction=0.25)
    assert {name: found[name] for name in expected} == expected
    assert expected["exact"] == (gate == "once")


def test_predict_takes_what_is_left_out_from_the_trace_and_says_so():
    trace = recorded()
    used = BWCacheConfig(0.1, 4, tail_fraction=0.2, gate="recheck")
    text = replace(trace, cached=replace(trace.baseline, config=used.as_dict())).dumps()
    found = predict(text, 0.06, gate="once")
    assert found["config"] == replace(used, threshold=0.06, gate="once").as_dict()
    assert {"reuse_interval", "tail_fraction"} <= set(found["from_trace"])
    assert "gate" not in found["from_trace"]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"threshold": math.inf}, "threshold"),
        ({"threshold": None}, "threshold"),
        ({"reuse_interval": "0"}, "reuse_interval"),
        ({"gate": "never"}, "gate"),
        ({"reuse": {}}, "reuse"),
        ({"tail_fraction": 2}, "tail_fraction"),
        ({"trace": None}, "trace"),
        ({"trace": [1]}, "trace"),
        ({"trace": {}}, "trace file"),
        ({"trace": "assets/runs/trace.json"}, "trace file"),
        ({"trace": {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}}, "trace file"),
        ({"trace": "[" * 10**5}, "trace file"),
        ({"trace": "9" * 5000}, "trace file"),
    ],
)
def test_predict_refuses_in_one_clear_line(change, word):
    with pytest.raises(gr.Error) as caught:
        predict(**{"trace": recorded().dumps(), "threshold": 0.06, **change})
    assert caught.value.message.startswith(f"{word}: ")
    assert "\n" not in caught.value.message


def test_predict_says_what_it_cannot_foretell_and_foretells_other_methods():
    trace = recorded(steps=6).dumps()
    with pytest.raises(gr.Error, match="First Block Cache"):
        predict(trace, 0.06, method="first_block_cache")
    found = predict(trace, 0.06, method="magcache", ratios=[1.0] * 6)
    assert found["exact"]
    assert found["steps_reused"] > 0


def test_predict_takes_no_more_than_a_few_megabytes(monkeypatch):
    text = recorded(steps=5).dumps()
    monkeypatch.setattr(api, "TRACE_LIMIT", len(text))
    assert predict(text, 0.06)["schedule"]
    with pytest.raises(gr.Error, match=rf"^'?trace: {len(text) + 1} characters; at most"):
        predict(f"{text} ", 0.06)


def test_predict_survives_numbers_that_no_clock_gives():
    data = json.loads(recorded(steps=5).dumps())
    data["baseline"]["steps"][1]["seconds"] = 10**400
    with pytest.raises(gr.Error, match="(a number in it cannot be used|not valid JSON)"):
        predict(data, 0.06)

"""What the page offers on a machine, what it says of the rest, and what a host may forbid."""

from dataclasses import replace

import gradio as gr
import pytest

from bwcache import models
from bwcache.cache.methods.bwcache import BWCacheConfig
from bwcache.errors import ConfigError
from bwcache.models import fit, timings
from bwcache.models.catalogue import tinyworld
from bwcache.models.machine import Machine
from bwcache.models.progress import Loading
from bwcache.runs.baselines import BaselineStore
from bwcache.runs.compare import learn
from bwcache.runs.request import Request
from bwcache.runs.row_kinds import MAX_BYTES, size
from bwcache.space.host_settings import Settings
from bwcache.space.quota import Cost
from bwcache.testing import FakeBackend
from bwcache.ui import Host, build, form
from bwcache.ui import host as hosting
from bwcache.ui.advice import Adviser, advise, cost_words, note
from bwcache.ui.events import MODEL_QUEUE, comparison_job
from bwcache.ui.handlers import Handlers
from bwcache.ui.model_choice import MODEL_PARTS, of_model
from bwcache.ui.sessions import Visitors
from tests.ui.given import PROMPT, given

LAPTOP = Machine("cpu", "a laptop", ram_gb=16, disk_gb=100)
CARD = Machine("cuda", "a card", ram_gb=128, disk_gb=900, device_gb=24, free_gb=23)
WAN, IMAGES = models.find("wan2.1-t2v-1.3b"), models.find("wan2.2-i2v-a14b")


@pytest.fixture
def on(monkeypatch):
    """Makes a host on a made-up machine."""

    def make(machine: Machine, **changes) -> Host:
        monkeypatch.setattr(hosting, "this_machine", lambda device: machine)
        monkeypatch.setattr(fit, "reachable", lambda spec: False)
        return Host(machine.device, **changes)

    return make


def test_without_a_gpu_tinyworld_alone_is_offered_and_the_rest_says_why(on):
    host = on(LAPTOP)
    embedded = [spec.name for spec in tinyworld.ENTRIES]
    assert [spec.name for spec in host.specs] == embedded
    assert len(host.refused) == len(models.CATALOGUE) - len(embedded)
    html = note(host.specs[0], host.machine, host.refused)
    assert html.count("Needs a CUDA GPU, and this machine has none.") == 1
    assert html.count("Braucht eine CUDA-GPU, und dieser Rechner hat keine.") == 1
    assert f"{len(host.refused)} more models do not run on this machine" in html
    assert all(spec.title in html for spec, _ in host.refused)


def test_on_a_card_what_fits_is_offered_and_each_note_says_how(on):
    host = on(CARD)
    offered = {spec.name for spec in host.specs}
    assert {"tinyworld", WAN.name} <= offered
    assert host.specs[0].name == "tinyworld"  # nothing else is here without a download
    assert "downloads about" in note(WAN, host.machine, host.refused)
    assert "starts by measuring" in note(WAN, host.machine, host.refused)
    assert "min (a rough guess)" in note(WAN, host.machine, host.refused)
    parameters = {"transformer": 14.0, "text_encoder": 5.7}
    heavy = replace(WAN, weights=replace(WAN.weights, parameters=parameters))
    assert "take turns" in note(heavy, host.machine, [])


def test_once_a_comparison_was_made_the_note_says_how_long_it_takes(on):
    spec, host = models.find("tinyworld"), on(LAPTOP)
    timings.clear()  # what comparisons of other tests have taught
    assert "estimated from the last one" not in note(spec, host.machine, [])
    request = Request(PROMPT, steps=12, config=BWCacheConfig(0.06))
    *_, finished = FakeBackend()(request)
    learn(finished)
    try:
        assert "takes about" in note(spec, host.machine, [])
    finally:
        timings.clear()


def test_the_host_decides_what_is_on_offer_and_how_much(on):
    host = on(CARD, settings=Settings(("tinyworld", WAN.name), WAN.name, max_steps=20))
    assert [spec.name for spec in host.specs] == [WAN.name, "tinyworld"]
    assert of_model(WAN, BWCacheConfig, host)["steps"] == 20
    with pytest.raises(ConfigError, match="steps: got 30; allowed is a whole number from 2 to 20"):
        host.read(given(steps=30))
    with pytest.raises(ConfigError, match="model"):
        host.read(given(model="mochi-1", steps=10))
    with pytest.raises(ConfigError, match="BWCACHE_MODELS"):
        build(FakeBackend(), on(LAPTOP, settings=Settings((WAN.name,))))


def test_the_form_follows_the_model(on):
    host = on(CARD)
    found = of_model(IMAGES, BWCacheConfig, host)
    assert set(found) == set(MODEL_PARTS)
    assert found["image"]["visible"]
    assert not found["presets"]["visible"]
    assert found["threshold"]["value"] == 0
    assert not of_model(models.find("tinyworld"), BWCacheConfig, host)["image"]["visible"]
    assert host.takes_images is any(spec.image != "none" for spec in host.specs)


def test_a_picture_is_read_and_only_where_the_model_takes_one(tmp_path):
    from PIL import Image

    path = tmp_path / "picture.png"
    Image.new("RGB", (64, 48), "red").save(path)
    request = form.read(given(model=IMAGES.name, prompt="a cat", image=str(path)))
    assert request.image == path.read_bytes()
    with pytest.raises(ConfigError, match="image"):
        form.read(given(image=str(path)))
    with pytest.raises(ConfigError, match="image: got None"):
        form.read(given(model=IMAGES.name, prompt="a cat"))
    path.write_bytes(b"no picture")
    with pytest.raises(ConfigError, match="cannot be decoded"):
        form.read(given(model=IMAGES.name, prompt="a cat", image=str(path)))


def test_a_model_without_presets_measures_first_and_then_suggests_a_threshold():
    backend, store = FakeBackend(), BaselineStore()
    request = Request("a cat", WAN.name, steps=30, config=BWCacheConfig(0.0))
    assert "Not yet measured" in advise(request, None)
    list(backend(request, store))
    said = advise(request, store.get(request))
    assert "Suggested from that run:" in said
    assert "Estimated" in said
    threshold = float(said.split("threshold ")[1].split(" with")[0])
    reused = said.split("reuses ")[1].split(" of")[0]
    tried = replace(request, config=BWCacheConfig(threshold, 2))
    *_, finished = backend(tried, store)
    assert finished.summary.steps_reused == int(reused) > 0


@pytest.mark.parametrize("enough", [True, False])
def test_the_cost_is_shown_before_anything_is_made(enough):
    needed = 40 if enough else 400
    price = Cost(60, 90, 120, "anonymous", needed, "estimated")

    def said_on(host: Host) -> str:
        adviser, values = Adviser(Visitors(), host), given()
        return adviser.advice(adviser.subject(values, None), values, "a")

    said = said_on(Host(price=lambda request, store, asking: price))
    assert "asks for up to 60 s of GPU, which counts as 90 s of 120 s a day" in said
    assert "A rough guess" in said
    assert ("may not be enough" in said) is not enough
    assert "s a day" not in said_on(Host())
    assert cost_words(price, "de").startswith("**Kosten:**")


def test_loading_is_shown_and_a_retry_starts_the_clock_anew(tmp_path):
    """The rows say what is done; after a retry the seconds begin at nought."""
    backend = FakeBackend()

    def loading(request, store, device):
        yield Loading("download", 1_500_000_000, 3_000_000_000)
        yield Loading("load")
        for event in backend(request, BaselineStore()):
            yield event
            if getattr(getattr(event, "record", None), "step_index", None) == 2:
                break
        yield Loading("retry", note="Once more, lighter.")
        yield from backend(request, store)

    def publish(path):
        return str(path.replace(tmp_path / path.name))

    handlers = Handlers(comparison_job(loading, Host(), publish), Visitors())
    asked, *_ = handlers.enter(given(), "en")
    updates = [u[0] for u in handlers.run(asked, "a", "en") if isinstance(u[0], list)]
    found = updates[-1]
    assert [row for row in found if row["k"] == "loading"] == [
        {"k": "loading", "stage": "download", "done": 1.5, "total": 3.0},
        {"k": "loading", "stage": "load"},
        {"k": "loading", "stage": "retry", "note": "Once more, lighter."},
    ]
    first = [row for row in found if row["k"] == "step" and row["i"] == 0]
    clocks = [row["s"] for row in first if row["run"] == "baseline"]
    assert clocks[0] == clocks[1]
    assert found[-1]["k"] == "done"
    assert all(size(row) <= MAX_BYTES for row in found)


@pytest.mark.parametrize(("zerogpu", "places"), [(False, 1), (True, 8)])
def test_comparisons_share_one_card_but_each_has_its_own_on_zerogpu(on, zerogpu, places):
    page = build(FakeBackend(), on(replace(CARD, zerogpu=zerogpu)))
    assert page._queue.default_concurrency_limit == places
    waiting = [fn for fn in page.fns.values() if fn.concurrency_id == MODEL_QUEUE]
    assert [fn.concurrency_limit for fn in waiting] == ["default"]


def test_a_limit_on_who_waits_reaches_the_queue(on):
    page = build(FakeBackend(), on(LAPTOP, settings=Settings(queue_size=3)))
    assert isinstance(page, gr.Blocks)
    assert page._queue.max_size == 3

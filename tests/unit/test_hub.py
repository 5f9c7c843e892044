"""Fetching from a hub: progress, each failure a sentence, nothing half-written taken for whole."""

import errno
import json
import re
import shutil
import threading
from contextlib import closing
from dataclasses import replace
from types import SimpleNamespace

import pytest
from huggingface_hub import _tree_cache, constants, file_download

from bwcache import models
from bwcache.models import ModelError
from bwcache.models.hub import download as hub
from bwcache.models.hub import local_files as hub_files
from bwcache.models.hub.download import fetch
from bwcache.models.hub.local_files import at_hand, discard_damaged, local
from bwcache.models.loading import result_of
from bwcache.models.progress import Loading
from tests.unit.fake_hub import COMMIT, serving

SPEC = models.find("wan2.1-t2v-1.3b")
SPEC = replace(SPEC, weights=replace(SPEC.weights, source="tiny/wan", revision=COMMIT))
WEIGHTS = "transformer/diffusion_pytorch_model.safetensors"


@pytest.fixture
def files(tmp_path):
    """A repository: a pipeline's files, and what may lie around them."""
    folder = tmp_path / "repository"
    index = {
        "_class_name": "WanPipeline",
        "transformer": ["diffusers", "WanTransformer3DModel"],
        "tokenizer": ["transformers", "T5TokenizerFast"],
        "image_encoder": [None, None],
    }
    contents = {
        "model_index.json": json.dumps(index).encode(),
        "README.md": b"# Tiny",
        "pipeline.py": b"raise SystemExit('code from a repository was run')",
        "all-in-one.safetensors": bytes(50_000),
        "transformer/config.json": b"{}",
        WEIGHTS: bytes(range(256)) * 80,
        "transformer/diffusion_pytorch_model.fp16.safetensors": bytes(50_000),
        "transformer/diffusion_pytorch_model.bin": b"a pickle",
        "tokenizer/tokenizer_config.json": b"{ }",
        "tokenizer/spiece.model": b"pieces",
    }
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def fake(files, tmp_path, monkeypatch):
    with serving(files, tmp_path / "cache", monkeypatch) as served:
        yield served


def refusal() -> str:
    with pytest.raises(ModelError) as caught:
        result_of(fetch(SPEC))
    text = str(caught.value)
    assert text.startswith("model: Wan 2.1 T2V 1.3B: ")
    assert "\n" not in text
    return text


def fetched(folder) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_whether_the_hub_is_there(fake, monkeypatch):
    assert hub.reachable(SPEC)
    assert not hub.reachable(replace(SPEC, weights=replace(SPEC.weights, source="tiny/nowhere")))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert not hub.reachable(SPEC)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    assert not hub.reachable(SPEC)


def test_only_what_a_pipeline_is_made_of_is_fetched_with_its_progress(fake, files):
    assert not at_hand(SPEC)
    events, steps = [], fetch(SPEC)
    while True:
        try:
            events.append(next(steps))
        except StopIteration as end:
            folder = end.value
            break
    names = {
        "model_index.json",
        "transformer/config.json",
        WEIGHTS,
        "tokenizer/tokenizer_config.json",
        "tokenizer/spiece.model",
    }
    assert fetched(folder) == names
    assert folder.name == COMMIT
    total = sum((files / name).stat().st_size for name in names - {"model_index.json"})
    assert {event.stage for event in events} == {"download"}
    done = [event.done for event in events if event.total is not None]
    assert done == sorted(done)
    assert len(set(done)) > 5
    assert done[-1] == total
    assert len(set(events)) <= 103  # no more than the percents
    fake.requests.clear()
    assert at_hand(SPEC)
    assert list(fetch(SPEC)) == []
    assert result_of(fetch(SPEC)) == folder
    assert not fake.requests


def test_the_newest_is_fetched_where_no_revision_is_pinned(fake):
    newest = replace(SPEC, weights=replace(SPEC.weights, revision=None))
    assert result_of(fetch(newest)).name == COMMIT
    fake.close()
    assert result_of(fetch(newest)).name == COMMIT


@pytest.mark.parametrize(
    ("refuse", "words"),
    [
        ("gated", "accept the licence at https://huggingface.co/tiny/wan, then set HF_TOKEN"),
        ("no repository", "no repository tiny/wan"),
        ("no revision", f"no longer has the pinned revision {COMMIT}"),
        ("too many", "refuses more requests for now; wait some minutes, or set HF_TOKEN"),
        ("out of order", "out of order \\(it answered 503\\); try again later"),
        ("bad token", "refuses this HF_TOKEN"),
    ],
)
def test_a_refusal_is_a_sentence_and_the_next_try_is_unaffected(fake, refuse, words):
    fake.refuse = refuse
    assert re.search(words, refusal())
    fake.refuse = None
    assert result_of(fetch(SPEC)).name == COMMIT


def test_a_refusal_half_way(fake):
    """The list is had, the files are refused."""
    steps = fetch(SPEC)
    for event in steps:
        if event.total:
            break
    fake.refuse = "gated"
    with pytest.raises(ModelError, match="accept the licence"):
        result_of(steps)
    fake.refuse = None
    assert result_of(fetch(SPEC)).name == COMMIT


def test_no_connection(fake, monkeypatch):
    fake.close()
    assert "the hub cannot be reached; check the connection" in refusal()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE forbids asking the hub; unset it" in refusal()


def test_a_silent_hub(fake, monkeypatch):
    fake.hold = WEIGHTS
    for name, value in {"HEARTBEAT": 0.01, "SILENCE": 0.2, "PATIENCE": 0.01}.items():
        monkeypatch.setattr(hub, name, value)
    assert "did not answer in time" in refusal()


def test_a_connection_that_breaks_once_is_taken_up_again(fake):
    fake.cut["transformer"] = 1
    folder = result_of(fetch(SPEC))
    assert (folder / WEIGHTS).read_bytes() == (fake.folder / WEIGHTS).read_bytes()


def test_a_connection_that_breaks_for_long_is_tried_once_more(fake, monkeypatch):
    """The hub's library gives up after a while of its own accord."""
    tried = []
    work = hub._work

    def broken(*arguments):
        tried.append(1)
        if len(tried) == 1:
            raise OSError("Consistency check failed: file should be of size 8 but has size 4")
        return work(*arguments)

    monkeypatch.setattr(hub, "_work", broken)
    events = list(fetch(SPEC))
    assert Loading("retry", note="The download was interrupted; taking it up again.") in events
    assert at_hand(SPEC)


def test_a_connection_that_keeps_breaking(fake):
    fake.cut["spiece"] = 10_000
    assert "interrupted twice; try again later" in refusal()
    assert not at_hand(SPEC)
    assert not list(hub_files.cache().rglob("*.incomplete"))
    del fake.cut["spiece"]
    before = fake.requests[f"GET /tiny/wan/resolve/{COMMIT}/{WEIGHTS}"]
    assert result_of(fetch(SPEC)).name == COMMIT
    after = fake.requests[f"GET /tiny/wan/resolve/{COMMIT}/{WEIGHTS}"]
    assert after - before <= 1


def test_a_disk_that_is_too_small(fake, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=100_000_000))
    assert "does not fit on the disk, which has 0.1 GB free; free some space" in refusal()
    assert not fake.requests[f"GET /tiny/wan/resolve/{COMMIT}/{WEIGHTS}"]


def test_a_disk_that_becomes_full(fake, monkeypatch):
    get = file_download.http_get

    def full(url, file, **options):
        if WEIGHTS in url:
            file.write(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        get(url, file, **options)

    monkeypatch.setattr(file_download, "http_get", full)
    assert "the disk is full; free some space or set HF_HOME" in refusal()
    assert not at_hand(SPEC)
    monkeypatch.setattr(file_download, "http_get", get)
    folder = result_of(fetch(SPEC))
    assert (folder / WEIGHTS).read_bytes() == (fake.folder / WEIGHTS).read_bytes()


def test_closing_stops_the_download(fake, monkeypatch):
    monkeypatch.setattr(hub, "PATIENCE", 0.01)
    fake.hold = WEIGHTS
    with closing(fetch(SPEC)) as steps:
        next(event for event in steps if event.done)
        fake.held.wait()
    fake.released.set()
    for worker in threading.enumerate():
        if worker.name == "bwcache-download":
            worker.join()
    assert not at_hand(SPEC)
    assert not list(hub_files.cache().rglob("*.incomplete"))
    fake.hold = None
    assert result_of(fetch(SPEC)).name == COMMIT


def test_a_damaged_file_is_found_and_fetched_anew(fake):
    folder = result_of(fetch(SPEC))
    assert discard_damaged(folder) == []
    for name in (WEIGHTS, "tokenizer/spiece.model"):
        (folder / name).resolve().write_bytes(b"not what it was")
    assert discard_damaged(folder) == ["tokenizer/spiece.model", WEIGHTS]
    assert not at_hand(SPEC)
    again = result_of(fetch(SPEC))
    assert (again / WEIGHTS).read_bytes() == (fake.folder / WEIGHTS).read_bytes()


def test_a_damaged_index_is_a_sentence(fake):
    folder = result_of(fetch(SPEC))
    (folder / "model_index.json").resolve().write_text("{")
    assert not at_hand(SPEC)
    assert "model_index.json was damaged on the disk and has been deleted" in refusal()
    assert result_of(fetch(SPEC)) == folder


def test_a_repository_without_a_pipeline(fake):
    (fake.folder / "model_index.json").unlink()
    assert "holds no diffusers pipeline" in refusal()


def test_a_folder_that_an_older_tool_left_is_judged_by_its_shards(fake, monkeypatch):
    folder = result_of(fetch(SPEC))
    shutil.rmtree(folder.parents[1] / "trees")
    monkeypatch.setattr(_tree_cache, "_IN_MEMORY_TREE_CACHE", {})
    assert local(SPEC) == folder
    listing = {"weight_map": {"a": "diffusion_pytorch_model-00001-of-00002.safetensors"}}
    shards = folder / "transformer" / "diffusion_pytorch_model.safetensors.index.json"
    shards.write_text(json.dumps(listing))
    assert local(SPEC) is None
    shards.unlink()
    (folder / WEIGHTS).unlink()
    assert local(SPEC) is None


def test_a_model_that_is_not_on_the_hub_is_always_at_hand():
    assert at_hand(models.find("tinyworld"))

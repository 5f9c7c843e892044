"""What fits on made-up machines, and what the page offers there."""

import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from bwcache.models import find
from bwcache.models import fit as fitting
from bwcache.models.fit import (
    clear_remembered,
    default,
    fit,
    lighter,
    offers,
    put_on_device,
    remember_lighter,
)
from bwcache.models.loaded_models import MemoryUse, to_evict
from bwcache.models.machine import Machine, ram_bytes, this_machine
from bwcache.models.spec import ModelSpec, Weights
from bwcache.models.timings import Timing

LAPTOP = Machine("cpu", "a laptop", ram_gb=16, disk_gb=100)
GPU = Machine("cuda", "a card", ram_gb=64, disk_gb=500, device_gb=24, free_gb=23)
ZERO = Machine("cuda", "ZeroGPU", ram_gb=100, disk_gb=500, device_gb=48, free_gb=48, zerogpu=True)


def model(name: str = "big", **changes: object) -> ModelSpec:
    """16 GB of weights, 10 of them in the largest component, and 2 GB beside them."""
    usual = {
        "source": f"somebody/{name}",
        "parameters": {"transformer": 5.0, "text_encoder": 3.0},
    }
    of_weights = {key: changes.pop(key, value) for key, value in usual.items()}
    weights = Weights(licence="MIT", **of_weights)
    rest = {"about": "", "pipeline": "WanPipeline", "activations_gb": 2.0, **changes}
    return ModelSpec(name=name, title=name.title(), weights=weights, **rest)


@pytest.fixture(autouse=True)
def nothing_learnt():
    clear_remembered()
    yield
    clear_remembered()


@pytest.mark.parametrize(
    ("free", "offload"),
    [(19.9, "none"), (19.7, "model"), (13.3, "model"), (13.1, "sequential"), (2.8, "sequential")],
)
def test_the_fastest_mode_that_fits_with_a_margin(free, offload):
    """18, 12 and 2.5 GB, each with a tenth more."""
    assert fit(model(), replace(GPU, free_gb=free)).offload == offload


@pytest.mark.parametrize(
    ("machine", "fetched", "reason"),
    [
        (LAPTOP, True, "Needs a CUDA GPU, and this machine has none."),
        (
            replace(GPU, free_gb=2.0),
            True,
            "Needs about 3 GB of GPU memory even with the lightest offload, and this machine has "
            "2 of 24 GB free.",
        ),
        (
            replace(GPU, ram_gb=10),
            True,
            "Needs about 18 GB of RAM to hold its weights, and this machine has 9 GB to give.",
        ),
        (
            replace(GPU, disk_gb=15),
            False,
            "Its download needs about 16 GB of disk, and 15 GB are free; free some, or set HF_HOME "
            "to another disk.",
        ),
    ],
)
def test_a_model_that_does_not_fit_has_a_reason(machine, fetched, reason):
    found = fit(model(), machine, fetched=fetched)
    assert found.offload is None
    assert found.reason == reason
    assert not found.well


def test_a_small_disk_matters_only_for_a_download():
    assert fit(model(), replace(GPU, disk_gb=1)).offload == "none"
    assert fit(model(), GPU, fetched=False).download_gb == 16
    assert fit(model(source="a-folder"), replace(GPU, disk_gb=1), fetched=False).offload == "none"


def test_zerogpu_takes_a_model_whole_or_not_at_all():
    assert ZERO.modes == ("none",)
    assert fit(model(), ZERO).offload == "none"
    large = model(parameters={"transformer": 14.0, "text_encoder": 9.0})
    assert fit(large, ZERO).reason == ("Needs about 53 GB of GPU memory, and ZeroGPU lends 48 GB.")
    assert fit(large, GPU).offload == "sequential"


def test_a_model_without_a_gpu_needs_ram():
    small = model(needs_cuda=False)
    assert fit(small, replace(LAPTOP, ram_gb=23)).offload == "none"
    assert "20 GB of RAM" in fit(small, replace(LAPTOP, ram_gb=21)).reason


def test_seconds_are_those_of_the_last_comparison_in_the_same_mode():
    measured = Timing(2.0, around_seconds=5.0, computed_share=0.5, offload="none")
    found = fit(model(steps=50), GPU, measured)
    assert found.seconds == 2 * 50 * 1.5 + 2 * 5
    assert found.well
    assert fit(model(steps=50), GPU, replace(measured, offload="model")).seconds is None
    assert not fit(model(steps=50), GPU, replace(measured, step_seconds=20.0)).well


def test_a_mode_that_ran_out_of_memory_is_not_taken_again():
    assert fit(model(), GPU, at_least="sequential").offload == "sequential"
    assert fit(model(), ZERO, at_least="model").reason.startswith("Ran out of GPU memory here")
    assert [lighter(GPU, mode) for mode in GPU.modes] == ["model", "sequential", None]
    assert lighter(LAPTOP, "none") is None


def test_offers_put_first_what_runs(monkeypatch):
    here = {"somebody/big"}
    monkeypatch.setattr(
        fitting, "at_hand", lambda spec: not spec.weights.on_hub or spec.weights.source in here
    )
    huge = model("huge", parameters={"transformer": 500.0})
    catalogue = [huge, find("tinyworld"), model("other"), model()]
    found = offers(GPU, catalogue)
    assert [spec.name for spec, _ in found] == ["tinyworld", "other", "big", "huge"]
    assert [bool(offer.reason) for _, offer in found] == [False, False, False, True]
    assert found[1][1].download_gb == 16
    on_laptop = offers(LAPTOP, catalogue)
    assert [spec.name for spec, offer in on_laptop if offer.offload] == ["tinyworld"]


def test_the_default_runs_well(monkeypatch):
    here, asked = {"somebody/big"}, []
    monkeypatch.setattr(
        fitting, "at_hand", lambda spec: not spec.weights.on_hub or spec.weights.source in here
    )
    monkeypatch.setattr(fitting, "reachable", lambda spec: asked.append(spec.name))  # it is not
    catalogue = [find("tinyworld"), model("other"), model()]
    assert default(GPU, catalogue).name == "big"
    assert default(LAPTOP, catalogue).name == "tinyworld"
    here.add("somebody/other")
    assert default(GPU, catalogue).name == "other"
    remember_lighter(catalogue[1], "cuda:0", "model")
    assert default(GPU, catalogue).name == "big"
    for spec in catalogue:
        remember_lighter(spec, "cuda", "sequential")
    assert default(GPU, catalogue).name == "tinyworld"
    assert not asked


@pytest.mark.parametrize("online", [True, False])
def test_what_has_to_be_fetched_is_the_default_only_where_the_hub_answers(online, monkeypatch):
    asked = []
    monkeypatch.setattr(fitting, "at_hand", lambda spec: not spec.weights.on_hub)
    monkeypatch.setattr(fitting, "reachable", lambda spec: asked.append(spec.name) or online)
    catalogue = [find("tinyworld"), model("other"), model()]
    assert default(GPU, catalogue).name == ("other" if online else "tinyworld")
    assert asked == ["other"]  # once for all
    assert default(LAPTOP, catalogue).name == "tinyworld"
    assert asked == ["other"]


def test_this_machine_is_described(monkeypatch):
    here = this_machine("cpu")
    assert here.device == "cpu"
    assert here.name.startswith("cpu: ")
    assert here.ram_gb > 0.5
    assert here.disk_gb > 0
    assert here.modes == ("none",)
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    lent = this_machine("cuda")
    assert (lent.device_gb, lent.free_gb, lent.zerogpu) == (48, 48, True)


def test_a_gpu_is_asked_and_what_is_kept_here_counts_as_free(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (10e9, 24e9))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 6e9)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "a card")
    here = this_machine("cuda")
    assert (here.name, here.device_gb, here.free_gb) == ("cuda: a card", 24, 16)


def test_the_memory_of_a_container(tmp_path):
    whole = ram_bytes(())
    limits = [tmp_path / name for name in ("missing", "max", "number")]
    limits[1].write_text("max\n")
    assert ram_bytes(tuple(limits)) == whole
    limits[2].write_text("123456789\n")
    assert ram_bytes(tuple(limits)) == 123456789


@pytest.mark.parametrize(
    ("kept", "gone"),
    [
        ([], []),
        ([MemoryUse(4, 0)], []),
        ([MemoryUse(8, 0), MemoryUse(4, 0)], [0]),
        ([MemoryUse(4, 0), MemoryUse(8, 0)], [0, 1]),
        ([MemoryUse(8, 0, in_use=True), MemoryUse(4, 0)], None),
        ([MemoryUse(4, 0, in_use=True), MemoryUse(8, 0)], [1]),
        ([MemoryUse(0, 30)], [0]),
        ([MemoryUse(0, 1), MemoryUse(0, 1), MemoryUse(0, 1)], [0]),
    ],
)
def test_the_least_recently_used_make_room(kept, gone):
    assert to_evict(kept, MemoryUse(6, 10), device_gb=10, ram_gb=32) == gone


def test_what_fits_nowhere_is_tried_alone():
    assert to_evict([MemoryUse(1, 1)], MemoryUse(60, 10), device_gb=10, ram_gb=32) == [0]
    assert to_evict([], MemoryUse(60, 10), device_gb=10, ram_gb=32) == []


@pytest.mark.parametrize(
    ("offload", "call"),
    [
        ("none", ("to", "cuda:1")),
        ("model", ("enable_model_cpu_offload", "cuda:1")),
        ("sequential", ("enable_sequential_cpu_offload", "cuda:1")),
    ],
)
def test_each_mode_is_diffusers_own(offload, call):
    calls = []

    class Pipe:
        def to(self, device):
            calls.append(("to", device))

        def enable_model_cpu_offload(self, device):
            calls.append(("enable_model_cpu_offload", device))

        def enable_sequential_cpu_offload(self, device):
            calls.append(("enable_sequential_cpu_offload", device))

    put_on_device(Pipe(), "cuda:1", offload)
    assert calls == [call]


def test_judging_a_machine_loads_no_torch():
    program = (
        "import sys, bwcache.models.fit, bwcache.models.timings, bwcache.models.hub.download\n"
        "heavy = {'torch', 'diffusers', 'gradio'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", program], check=True)

"""What the tests on a GPU share: the device, and a file that tells of each test as it ends.

They run on a CPU too where `BWCACHE_TEST_DEVICE=cpu` is set, apart from what only CUDA has.
`bwcache bench gpu` reads the file named by `BWCACHE_TEST_REPORT`, and names in the one of
`BWCACHE_TEST_PASSED` the tests that need not run again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

HERE = Path(__file__).parent
WORKER = "PYTEST_XDIST_WORKER"


def pytest_collection_modifyitems(config, items) -> None:
    """All tests here are marked `cuda`; those that have passed before are left out."""
    listed = os.environ.get("BWCACHE_TEST_PASSED")
    passed = set(json.loads(Path(listed).read_text(encoding="utf-8"))) if listed else set()
    kept, left_out = [], []
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.cuda)
        (left_out if item.nodeid in passed else kept).append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept


def pytest_collectreport(report) -> None:
    """A file that cannot be read counts as a failed test."""
    if report.failed:
        report.when, report.duration, report.user_properties = "collect", 0.0, []
        pytest_runtest_logreport(report)


def pytest_runtest_logreport(report) -> None:
    """A line of JSON for each test that has ended."""
    path = os.environ.get("BWCACHE_TEST_REPORT")
    told = report.when == "call" or report.outcome != "passed"
    if path is None or WORKER in os.environ or not told:
        return
    message = report.longreprtext if report.failed else ""
    if report.skipped and isinstance(report.longrepr, tuple | list):
        message = str(report.longrepr[-1])
    line = {
        "name": report.nodeid,
        "outcome": report.outcome,
        "seconds": round(report.duration, 2),
        "message": message,
        "properties": dict(report.user_properties),
    }
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


@pytest.fixture(scope="session")
def device() -> torch.device:
    """The GPU; a CPU only where that is asked for."""
    asked = os.environ.get("BWCACHE_TEST_DEVICE", "cuda")
    if asked == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a CUDA GPU; BWCACHE_TEST_DEVICE=cpu runs it on a CPU")
    return torch.device(asked, 0) if asked == "cuda" else torch.device(asked)


@pytest.fixture
def cuda(device) -> torch.device:
    """The GPU, for what a CPU has nothing like."""
    if device.type != "cuda":
        pytest.skip("only CUDA has it")
    return device


@pytest.fixture(autouse=True)
def _the_same_every_time() -> Iterator[None]:
    """Kernels that give the same bits for the same input, so that a difference means something."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    benchmark = torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False
    yield
    torch.use_deterministic_algorithms(before, warn_only=warn_only)
    torch.backends.cudnn.benchmark = benchmark
    torch.cuda.empty_cache()

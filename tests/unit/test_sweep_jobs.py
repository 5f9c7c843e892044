"""Processes that share a sweep, side by side in one: who does what, what is lost or retried."""

import json
import os
import signal
import types
from collections import Counter

import pytest

from bwcache.bench import sweep_bookkeeping
from bwcache.cache.methods.bwcache import BWCacheConfig
from bwcache.cache.methods.first_block_cache import FirstBlockCacheConfig
from bwcache.errors import MachineError
from bwcache.explore import results_file
from bwcache.explore.sweep import processes
from bwcache.explore.sweep.ledger import DONE, FAILED, Ledger, work_folder
from bwcache.explore.sweep.plan import Group, Plan
from bwcache.explore.sweep.worker import JobDone, JobFailed, JobStarted, Waiting, work
from bwcache.runs.events import StepDone
from bwcache.testing import FakeBackend
from tests.environments import ROOT

SETTINGS = (BWCacheConfig(0.05), BWCacheConfig(0.1), FirstBlockCacheConfig(0.1))


def plan_of(prompts: int = 3, settings=SETTINGS) -> Plan:
    groups = [Group("tinyworld", f"prompt {number}", 0, 4) for number in range(prompts)]
    return Plan(groups, {"tinyworld": settings})


class Counting(FakeBackend):
    """Also counts the uncached runs that it makes to their end, by prompt."""

    def __init__(self, *given, **options):
        super().__init__(*given, **options)
        self.uncached = Counter()

    def _compare(self, request, baseline, device):
        for event in super()._compare(request, baseline, device):
            if getattr(event, "run", None) == "baseline" and hasattr(event, "frames"):
                self.uncached[request.prompt] += not event.remembered
            yield event


def rows_of(out) -> list[dict]:
    return [json.loads(line) for line in out.read_text().splitlines()]


def finish(*workers) -> list:
    """Let several workers go on in turns, event by event, until all have ended."""
    events, left = [], list(workers)
    while left:
        for worker in list(left):
            event = next(worker, None)
            if event is None:
                left.remove(worker)
            else:
                events.append(event)
    return events


def until(worker, kind):
    """The next event of a kind."""
    return next(event for event in worker if isinstance(event, kind))


def test_a_row_for_each_job_and_one_uncached_run_a_group(tmp_path):
    out, backend = tmp_path / "rows.jsonl", Counting()
    ledger = Ledger(plan_of(), out)
    done = [event for event in work(ledger, backend) if isinstance(event, JobDone)]
    rows = rows_of(out)
    assert len(rows) == len(done) == ledger.counts[DONE] == 9
    assert backend.uncached == {f"prompt {number}": 1 for number in range(3)}
    assert [row["baseline_remembered"] for row in rows] == [False, True, True] * 3
    assert [row["method"] for row in rows[:3]] == ["bwcache", "bwcache", "first_block_cache"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.jsonl", "rows.jsonl.lock"]


def test_what_is_there_is_not_made_again(tmp_path):
    out, backend = tmp_path / "rows.jsonl", Counting()
    list(work(Ledger(plan_of(prompts=2), out), backend))
    before = out.read_text()
    assert list(work(Ledger(plan_of(prompts=2), out), backend)) == []
    list(work(Ledger(plan_of(prompts=3), out), backend))
    assert out.read_text().startswith(before)
    assert len(rows_of(out)) == 9
    assert len(backend.requests) == 9


@pytest.mark.parametrize("count", [2, 4])
def test_processes_share_the_jobs(count, tmp_path):
    out, backend = tmp_path / "rows.jsonl", Counting()
    workers = [
        work(Ledger(plan_of(), out), backend, place=rank / count, pause=0) for rank in range(count)
    ]
    events = finish(*workers)
    assert len(rows_of(out)) == len(backend.requests) == 9
    assert set(backend.uncached.values()) == {1}
    assert sum(isinstance(event, JobDone) for event in events) == 9
    assert not work_folder(out).exists()


def test_those_with_no_group_left_help_where_the_uncached_run_lies(tmp_path):
    out, backend = tmp_path / "rows.jsonl", Counting()
    plan = plan_of(prompts=1)
    owner, helper = (work(Ledger(plan, out), backend, pause=0) for _ in range(2))
    until(owner, JobStarted)
    assert isinstance(next(helper), Waiting)  # nothing lies there yet
    until(owner, JobDone)
    assert until(owner, JobStarted).job.setting == 1
    assert until(helper, JobStarted).job.setting == 2
    finish(owner, helper)
    assert [row["baseline_seconds"] for row in rows_of(out)] == [pytest.approx(0.48)] * 3
    assert backend.uncached == {"prompt 0": 1}


def test_other_hardware_does_not_go_on_with_an_uncached_run(tmp_path):
    """Its seconds would be compared with another machine's."""
    out, backend = tmp_path / "rows.jsonl", Counting()
    first = work(Ledger(plan_of(1), out), backend, hardware="one")
    until(first, JobDone)
    first.close()
    list(work(Ledger(plan_of(1), out), backend, hardware="another"))
    assert backend.uncached == {"prompt 0": 2}
    assert [row["baseline_remembered"] for row in rows_of(out)] == [False, False, True]


def test_two_commands_of_different_settings_share_uncached_runs(tmp_path):
    out, backend = tmp_path / "rows.jsonl", Counting()
    one, other = plan_of(2, SETTINGS[:2]), plan_of(2, SETTINGS[1:])
    finish(*(work(Ledger(plan, out), backend, pause=0) for plan in (one, other)))
    assert len(rows_of(out)) == len(backend.requests) == 6  # the setting of both is run once
    assert set(backend.uncached.values()) == {1}
    assert not work_folder(out).exists()


def test_a_job_that_was_cut_off_is_all_that_is_lost(tmp_path):
    out, backend = tmp_path / "rows.jsonl", Counting()
    cut = work(Ledger(plan_of(), out), backend)
    until(cut, JobDone)
    until(cut, JobStarted)
    until(cut, StepDone)
    cut.close()
    list(work(Ledger(plan_of(), out), backend))
    assert len(rows_of(out)) == 9
    assert len(backend.requests) == 10
    assert backend.closed == 1
    assert set(backend.uncached.values()) == {1}


def test_a_stop_ends_after_the_job_under_way(tmp_path):
    out, backend = tmp_path / "rows.jsonl", Counting()
    stop = processes.threading.Event()
    worker = work(Ledger(plan_of(), out), backend, stop=stop)
    until(worker, JobStarted)
    stop.set()
    assert [type(event) for event in worker][-1] is JobDone
    assert len(rows_of(out)) == 1


def test_bookkeeping_grows_with_the_jobs_and_no_faster(tmp_path, monkeypatch):
    """A process reads none of its own rows again; a later start reads each once."""
    parsed = []
    original = results_file.parse_json
    monkeypatch.setattr(results_file, "parse_json", lambda x: parsed.append(1) or original(x))
    *_, made = FakeBackend()(plan_of().request(next(plan_of().jobs(0))))
    for jobs in (50, 100):
        parsed.clear()
        stub = sweep_bookkeeping.Stub(made)
        found = sweep_bookkeeping.measure(jobs, stub, tmp_path)
        assert stub.uncached_runs == jobs // sweep_bookkeeping.SETTINGS
        assert len(parsed) == jobs  # by `measure`, which starts once more
        assert len(found["each_tenth"]) == 10
    assert 0 < sweep_bookkeeping.kept_bytes(50, stub, tmp_path) < 2000


# -- what goes wrong -----------------------------------------------------------------------------


class Failing(Counting):
    """Fails so many times at one prompt's second setting."""

    def __init__(self, times: int, error: Exception | None = None):
        super().__init__()
        self.times, self.told = times, error or RuntimeError("a bad\nday")

    def _compare(self, request, baseline, device):
        if request.prompt == "prompt 1" and request.config == SETTINGS[1] and self.times:
            self.times -= 1
            raise self.told
        yield from super()._compare(request, baseline, device)


def test_a_job_that_goes_wrong_is_tried_again(tmp_path):
    out, backend = tmp_path / "rows.jsonl", Failing(2)
    ledger = Ledger(plan_of(), out, retries=2)
    events = list(work(ledger, backend))
    assert sum(isinstance(event, JobFailed) for event in events) == 2
    assert ledger.counts[DONE] == len(rows_of(out)) == 9
    assert ledger.retried == 1
    assert list(ledger.failures()) == []
    assert not work_folder(out).exists()


def test_a_job_that_keeps_going_wrong_is_given_up_and_told(tmp_path):
    out, backend = tmp_path / "rows.jsonl", Failing(99)
    ledger = Ledger(plan_of(), out, retries=2)
    list(work(ledger, backend))
    (failure,) = ledger.failures()
    assert (failure.tries, failure.error) == (3, "RuntimeError: a bad")
    assert ledger.plan.groups[failure.job.group].prompt == "prompt 1"
    assert (ledger.counts[DONE], ledger.counts[FAILED], ledger.closed) == (8, 1, 9)
    assert backend.times == 96
    assert set(backend.uncached.values()) == {1}
    again = Ledger(plan_of(), out, retries=0)  # a command that is started anew tries anew
    list(work(again, backend))
    assert backend.times == 95
    assert [failure.tries for failure in again.failures()] == [1]
    last = Ledger(plan_of(), out)
    list(work(last, Counting()))
    assert list(last.failures()) == []
    assert len(rows_of(out)) == 9


def test_processes_count_tries_together(tmp_path):
    out, backend = tmp_path / "rows.jsonl", Failing(99)
    ledgers = [Ledger(plan_of(), out, retries=2) for _ in range(3)]
    finish(*(work(ledger, backend, pause=0) for ledger in ledgers))
    assert backend.times == 96
    assert [len(list(ledger.failures())) for ledger in ledgers] == [1, 1, 1]


def test_what_is_wrong_with_the_machine_ends_the_process(tmp_path):
    full = OSError(28, "No space left on device")
    for error in (full, MachineError("the disk is full")):
        with pytest.raises(type(error)):
            list(work(Ledger(plan_of(), tmp_path / "rows.jsonl"), Failing(1, error)))
    list(work(Ledger(plan_of(), tmp_path / "rows.jsonl"), Counting()))
    assert len(rows_of(tmp_path / "rows.jsonl")) == 9


def test_a_damaged_uncached_run_is_made_anew(tmp_path):
    out, backend = tmp_path / "rows.jsonl", Counting()
    first = work(Ledger(plan_of(1), out), backend)
    until(first, JobDone)
    first.close()
    (frames,) = work_folder(out).rglob("frames.npy")
    frames.write_bytes(b"half of it")
    list(work(Ledger(plan_of(1), out), backend))
    assert backend.uncached == {"prompt 0": 2}
    assert len(rows_of(out)) == 3


# -- processes -----------------------------------------------------------------------------------


class FakeState:
    """`accelerate.PartialState` of the process whose rank the test says."""

    rank, left, cpu = 0, 0, None

    def __init__(self, cpu: bool = False):
        FakeState.cpu = cpu
        self.device = types.SimpleNamespace(type="cpu")
        self.process_index, self.num_processes = self.rank, 2

    def destroy_process_group(self) -> None:
        FakeState.left += 1


def test_a_process_knows_its_place(monkeypatch):
    for name in ("WORLD_SIZE", "ACCELERATE_USE_CPU", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    alone = processes.Processes()
    assert (alone.rank, alone.count, alone.device, alone.place) == (0, 1, None, 0)
    assert alone.first
    assert alone.note is None
    monkeypatch.setattr("accelerate.PartialState", FakeState)
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in (0, 1):
        monkeypatch.setattr(FakeState, "rank", rank)
        found = processes.Processes("cpu")
        assert (found.rank, found.count, found.device, found.place) == (rank, 2, "cpu", rank / 2)
        assert found.first == (rank == 0)
        assert FakeState.cpu is True
        found.close()
    assert FakeState.left == 2


def test_sigterm_lets_the_job_under_way_end():
    usual = signal.getsignal(signal.SIGTERM)
    with processes.stopping() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.wait(60)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL  # a second one ends the process
    assert signal.getsignal(signal.SIGTERM) is usual


def test_rows_of_other_kinds_are_no_jobs():
    plan = plan_of()
    row = plan.described(next(plan.jobs(1)))
    assert plan.find(row) == next(plan.jobs(1))
    for change in ({"seed": 1}, {"method": "fora"}, {"prompt": ["a"]}, {"config": None}):
        assert plan.find(row | change) is None
    assert plan.find(row | {"random_weights": True}) is None


def test_what_accelerate_does_on_a_cpu_is_said(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.setenv("ACCELERATE_USE_CPU", "True")
    monkeypatch.setenv("MASTER_PORT", "29500")
    found = processes.Processes()
    assert found.device == "cpu"
    assert "--multi_gpu" in found.note


def test_the_document_quotes_what_was_measured():
    path = "assets/results/sweep-bookkeeping.json"
    measured = json.loads((ROOT / path).read_text())
    document = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    last = measured["times"][-1]
    tenths = last["each_tenth"]
    seconds = [tenth["seconds_per_job"] for tenth in tenths]
    assert last["jobs"] == 10_000
    assert measured["share_of_time"] < sweep_bookkeeping.SHARE
    shown = (last["seconds_per_job"], min(seconds), max(seconds))
    median, low, high = (f"{1000 * each:.0f}" for each in shown)
    for text in (
        f"{median} ms, from {low} to {high} ms",
        f"{1000 * last['processor_seconds_per_job']:.0f} ms |",
        f"{measured['job_seconds']:.1f} s, of which that is {measured['share_of_time']:.2%}",
        f"{last['one_per_cent_from_seconds']:.1f} s |",
        f"after a tenth of the jobs | {tenths[0]['resident_bytes'] / 1e6:.0f} MB |",
        f"| after all | {tenths[-1]['resident_bytes'] / 1e6:.0f} MB |",
        f"{measured['kept_bytes_per_job']:.0f} bytes",
        f"{last['start_seconds']:.1f} s |",
        measured["device"],
        path,
    ):
        assert text in document, text

"""The file that many processes add rows to: whole lines, each once, each read once."""

import json
import subprocess
import sys

import pytest

from bwcache.errors import ConfigError
from bwcache.explore import results_file
from bwcache.explore.results_file import ResultsFile

from ..environments import ROOT


def row(prompt: str, **more) -> dict:
    return {"prompt": prompt, "config": {}, **more}


def test_a_half_written_last_line_is_dropped_with_the_next_row(tmp_path):
    file = ResultsFile(tmp_path / "rows.jsonl")
    file.append(row("a"))
    with file.path.open("a") as half:
        half.write('{"prompt": "b", "conf')
    assert [one["prompt"] for one in file.rows()] == ["a"]
    ResultsFile(file.path).append(row("c"))
    assert [json.loads(line)["prompt"] for line in file.path.read_text().splitlines()] == ["a", "c"]


def test_a_last_line_that_only_lacks_its_end_is_kept(tmp_path):
    file = ResultsFile(tmp_path / "rows.jsonl")
    file.path.write_text('{"prompt": "a", "config": {}}')
    assert [one["prompt"] for one in file.rows()] == ["a"]
    file.append(row("b"))
    assert [one["prompt"] for one in file.rows()] == ["a", "b"]


@pytest.mark.parametrize(
    "content", ["hello\nworld\n", "[1]\n", '{"a": 1}\n', "\x00\n{}\n", "hello"]
)
def test_a_file_of_another_kind_is_refused_and_left_alone(content, tmp_path):
    file = ResultsFile(tmp_path / "rows.jsonl")
    file.path.write_text(content)
    with pytest.raises(ConfigError, match="^out: got .*line 1"):
        file.append(row("a"))
    assert file.path.read_text() == content


def test_a_line_without_an_end_is_not_read_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(results_file, "MOST_LINE", 100)
    file = ResultsFile(tmp_path / "rows.jsonl")
    file.path.write_text("x" * 1000)
    with pytest.raises(ConfigError, match="which can be read .a line of more than 100 bytes"):
        file.catch_up()


def test_many_processes_write_whole_lines(tmp_path):
    program = (
        "import sys; from pathlib import Path\n"
        "from bwcache.explore.results_file import ResultsFile\n"
        "file = ResultsFile(Path(sys.argv[1]))\n"
        "for i in range(25): file.append({'prompt': 'x' * 5000, 'config': {'i': [i, sys.argv[2]]}})"
    )
    path = tmp_path / "rows.jsonl"
    command = [sys.executable, "-c", program, str(path)]
    started = [subprocess.Popen([*command, str(each)], cwd=ROOT) for each in range(4)]
    assert [process.wait() for process in started] == [0] * 4
    assert len(ResultsFile(path).rows()) == 100


def test_every_row_is_seen_once_whoever_wrote_it(tmp_path):
    path, seen = tmp_path / "rows.jsonl", []
    first = ResultsFile(path, on_row=lambda one: seen.append(one["prompt"]))
    second = ResultsFile(path)
    assert first.append(row("a"))
    assert second.append(row("b"))
    assert second.append(row("c"))
    assert first.append(row("d"))
    assert not first.append(row("c"))
    first.catch_up()
    assert seen == ["a", "b", "c", "d"]
    path.unlink()
    second.catch_up()
    assert second.append(row("a"))  # a new file


def test_two_methods_of_like_settings_are_two_runs(tmp_path):
    file = ResultsFile(tmp_path / "rows.jsonl")
    assert file.append(row("a", method="teacache"))
    assert file.append(row("a", method="first_block_cache"))


def test_a_row_costs_the_reading_of_one_line(tmp_path, monkeypatch):
    """However long the file is: what was read stays read."""
    parsed = []
    original = results_file.parse_json
    monkeypatch.setattr(results_file, "parse_json", lambda x: parsed.append(1) or original(x))
    one, other = (ResultsFile(tmp_path / "rows.jsonl") for _ in range(2))
    for number in range(100):
        one.append(row(f"{number}"))
        other.append(row(f"other {number}"))
        one.catch_up()
    assert len(parsed) == 200  # each reads the other's hundred, and none of its own

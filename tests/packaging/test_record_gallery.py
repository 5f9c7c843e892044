"""Recording the gallery anew asks for what the page shows, run by run, until one fails."""

from bwcache.cli import build_parser, record_gallery
from bwcache.cli.arguments import read_config
from bwcache.models import find
from bwcache.runs.recorded import RUNS


def test_it_records_the_runs_that_are_there(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(record_gallery, "bwcache", lambda given: asked.append(given) or 0)
    assert record_gallery.main([str(tmp_path)]) == 0
    runs = [build_parser().parse_args(given) for given in asked]
    assert {run.out for run in runs} == {tmp_path / path.name for path in RUNS.iterdir()}
    assert all(run.control and find(run.model).name == "tinyworld" for run in runs)
    assert [run.reuse for run in runs].count("forecast") == 2
    assert [run.control for run in runs] == ["fewer"] * 4 + ["same-levels"]
    assert [read_config(run) for run in runs] == [card.config for card in record_gallery.GALLERY]


def test_it_stops_where_one_fails(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(record_gallery, "bwcache", lambda given: asked.append(given) or 2)
    assert record_gallery.main([str(tmp_path)]) == 2
    assert len(asked) == 1

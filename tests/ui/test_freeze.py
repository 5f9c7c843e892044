"""The frozen folder, without a browser: what is refused, and how modules become one script."""

import json
import shutil

import pytest

from bwcache.cli import main
from bwcache.cli.record_gallery import GALLERY
from bwcache.runs.recorded import RUNS
from bwcache.ui.freeze import DATA, INDEX, SCRIPT, bundle


def test_it_takes_the_place_of_a_former_one_and_of_nothing_else(tmp_path, capsys):
    out = tmp_path / "page"
    for _ in range(2):
        assert main(["freeze", str(out)]) == 0
        assert capsys.readouterr().out == f"{out / INDEX}: {len(GALLERY)} recorded runs\n"
    data = (out / DATA).read_text(encoding="utf-8")
    known = json.loads(data.removeprefix("const bwcacheData = ").removesuffix(";\n"))
    for run in known["runs"]:
        assert (out / run["thumbnail"]).is_file()
        assert str(RUNS) not in json.dumps(run)
    assert "import " not in (out / SCRIPT).read_text(encoding="utf-8").split("//", 1)[0]
    other = tmp_path / "mine"
    other.mkdir()
    (other / "letter.txt").write_text("keep me")
    assert main(["freeze", str(other)]) == 2
    assert "a new or empty folder" in capsys.readouterr().err
    assert [path.name for path in other.iterdir()] == ["letter.txt"]


def test_no_runs_and_broken_ones_are_refused_in_a_line(tmp_path, capsys):
    runs = tmp_path / "runs"
    runs.mkdir()
    out = tmp_path / "page"
    assert main(["freeze", str(out), "--runs", str(runs)]) == 2
    assert "a folder of recorded runs" in capsys.readouterr().err
    shutil.copytree(RUNS / "1-balanced", runs / "one")
    (runs / "one" / "run.json").write_text("{")
    assert main(["freeze", str(out), "--runs", str(runs)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("bwcache: runs: got 'one'")
    assert said.count("\n") == 1
    assert not out.exists()


def test_modules_become_one_script_in_their_order(tmp_path):
    one = 'import { b as c } from "./two.js";\n\nexport const a = c + 1;\n'
    (tmp_path / "one.js").write_text(one)
    (tmp_path / "two.js").write_text("export const b = 1;\n")
    script = bundle(tmp_path / "one.js")
    assert script.index("const b = 1;") < script.index("const { b: c } = module0;")
    (tmp_path / "two.js").write_text("export default 1;\n")
    with pytest.raises(ValueError, match="two.js: cannot be put into one script"):
        bundle(tmp_path / "one.js")

"""`app.py`: nothing happens when it is imported; `main` reads its arguments, builds and serves."""

import ast
import runpy
import sys

import gradio as gr
import pytest

import app
from bwcache.ui import LaunchError

from ..environments import ROOT


@pytest.fixture
def launched(monkeypatch):
    """What `main` would have launched: the page, whether pictures go up, and the options."""
    calls = []
    monkeypatch.setattr(app, "demo", None)
    monkeypatch.setattr(app, "launch", lambda *given, **options: calls.append((*given, options)))
    for name in ("BWCACHE_MODELS", "BWCACHE_AUTH", "BWCACHE_MCP"):
        monkeypatch.delenv(name, raising=False)
    return calls


def test_importing_it_builds_and_parses_nothing(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["app.py", "--no-such-option"])
    monkeypatch.setattr(gr, "Blocks", None)
    assert runpy.run_path(str(ROOT / "app.py"))["demo"] is None


def test_it_serves_the_page_as_asked(launched):
    app.main(["--host", "127.0.0.1", "--port", "7999", "--mcp"])
    ((page, uploads, options),) = launched
    assert isinstance(page, gr.Blocks)
    assert page is app.demo  # where Gradio's reload looks for it
    assert uploads is False
    assert options == {"server_name": "127.0.0.1", "server_port": 7999, "mcp_server": True}


def test_left_alone_it_changes_no_option(launched):
    app.main([])
    assert launched[0][2] == {}


def test_the_kiosk_is_asked_for(launched, monkeypatch):
    asked = []
    monkeypatch.setattr(app, "build", lambda *given, kiosk: asked.append(kiosk))
    app.main(["--kiosk"])
    app.main([])
    assert asked == [True, False]


@pytest.mark.parametrize("port", ["0", "65536", "high", "-1", "٣"])
def test_a_wrong_port_is_one_line(port, capsys):
    with pytest.raises(SystemExit) as stop:
        app.main(["--port", port])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("app.py: argument --port: ")
    assert error.count("\n") == 1


def test_a_host_s_wrong_variable_is_one_line(launched, monkeypatch, capsys):
    monkeypatch.setenv("BWCACHE_MODELS", "sora")
    with pytest.raises(SystemExit) as stop:
        app.main([])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("app.py: BWCACHE_MODELS: got 'sora'")
    assert error.count("\n") == 1
    assert not launched


@pytest.mark.parametrize("error", [OSError("port is taken\nat all"), LaunchError("no MCP here")])
def test_what_keeps_it_from_being_served_is_one_line(error, launched, monkeypatch, capsys):
    def refuse(*given, **options):
        raise error

    monkeypatch.setattr(app, "launch", refuse)
    with pytest.raises(SystemExit) as stop:
        app.main([])
    assert stop.value.code == 1
    assert capsys.readouterr().err == f"app.py: {str(error).splitlines()[0]}\n"


def test_what_zerogpu_patches_comes_first():
    """`spaces` patches CUDA's side of torch, and must find it untouched."""
    places = {}
    for node in ast.walk(ast.parse((ROOT / "app.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module] if isinstance(node, ast.ImportFrom) else []
            names = names or [alias.name for alias in node.names]
            for name in names:
                places.setdefault(name.split(".")[0], node.lineno)
    assert places["spaces"] < min(places["gradio"], places["bwcache"])

"""The same two endpoints as tools for agents, where MCP is asked for; and what is said without."""

import importlib.util
import re

import anyio
import httpx
import pytest
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

from bwcache.runs.request import Request
from bwcache.testing import FakeBackend
from bwcache.ui import build, launch
from bwcache.ui.serve import LaunchError
from tests.ui.given import PROMPT
from tests.ui.serving import serving


@pytest.fixture(scope="module")
def served():
    with serving(mcp_server=True) as page:
        yield page


def ask(served, method: str, *arguments: object) -> object:
    """What the server answers to one request of an agent's session."""

    async def run():
        where = f"{served.address}gradio_api/mcp/"
        async with (
            streamable_http_client(where) as (read, write, *_),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            return await getattr(session, method)(*arguments)

    return anyio.run(run)


def test_the_tools_are_the_two_endpoints_and_say_what_they_take(served):
    tools = {tool.name: tool for tool in ask(served, "list_tools").tools}
    assert set(tools) == {"compare", "predict"}
    assert tools["compare"].inputSchema["required"] == ["prompt"]
    assert tools["predict"].inputSchema["required"] == ["trace"]
    for tool in tools.values():
        assert "Returns: " in tool.description
        for name, parameter in tool.inputSchema["properties"].items():
            assert len(parameter["description"]) > 10, (tool.name, name)
    assert not ask(served, "list_resources").resources
    assert not ask(served, "list_prompts").prompts


def test_predict(served):
    trace = list(FakeBackend()(Request(PROMPT)))[-1].trace_file.dumps()
    answer = ask(served, "call_tool", "predict", {"trace": trace, "threshold": 0.0})
    assert not answer.isError
    assert "'steps_reused': 0" in answer.content[0].text


def test_compare_gives_addresses_of_its_files_and_remembers_nobody(served):
    """All agents come through one client of Gradio's, so memory would be shared between them."""
    for _ in range(2):
        answer = ask(served, "call_tool", "compare", {"prompt": PROMPT, "steps": 5})
        text = answer.content[0].text
        assert "'baseline_remembered': False" in text
    (trace,) = re.findall(r"'url': '([^']+trace\.json)'", text)
    assert trace.startswith(served.address)
    assert httpx.get(trace).json()["prompt"] == PROMPT


@pytest.mark.parametrize(
    ("tool", "given", "said"),
    [
        ("compare", {"prompt": PROMPT, "steps": 1}, "steps: got 1; allowed is"),
        ("predict", {"trace": "{}", "threshold": 0.1}, "trace file: found None"),
        ("predict", {"trace": "{}", "threshold": "high"}, "'high' is not valid"),
    ],
)
def test_what_cannot_be_used_is_said_in_a_line(served, tool, given, said):
    answer = ask(served, "call_tool", tool, given)
    assert answer.isError
    assert said in answer.content[0].text


def test_the_pages_own_handlers_cannot_be_called(served):
    before = len(served.backend.requests)
    names = {fn.name for fn in served.page.fns.values() if fn.fn} - {"compare", "predict"}
    assert {"on_enter", "on_run"} <= names
    for name in names:
        answer = ask(served, "call_tool", name, {})
        assert answer.isError, name
    assert len(served.backend.requests) == before


def test_without_the_package_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    refused(r'^MCP needs one more package: pip install "mcp[^\n]+$')


def test_no_password_is_passed_by():
    refused(r"^MCP asks nobody for the password[^\n]+$", auth=("somebody", "secret"))


def refused(line: str, **options) -> None:
    page = build(FakeBackend())
    with pytest.raises(LaunchError, match=line):
        launch(page, mcp_server=True, prevent_thread_lock=True, quiet=True, **options)
    assert not page.is_running


def test_nobody_is_served_over_mcp_unless_it_is_asked_for(monkeypatch):
    monkeypatch.setenv("GRADIO_MCP_SERVER", "true")  # ours is the only flag
    with serving() as page:
        answer = httpx.post(f"{page.address}gradio_api/mcp/", json={})
        assert answer.status_code in (404, 405)

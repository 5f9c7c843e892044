"""The page's host's settings: read once, checked, documented; Gradio's own are left to Gradio."""

import re
from pathlib import Path

import pytest

from bwcache.errors import ConfigError
from bwcache.models.catalogue import CATALOGUE
from bwcache.runs.recorded import RUNS
from bwcache.runs.request import MAX_STEPS, Request
from bwcache.space.host_settings import VARIABLES, Settings
from bwcache.ui import launch

CARD = (Path(__file__).parents[2] / "Spaces-README.md").read_text(encoding="utf-8")
SPECS = list(CATALOGUE.values())
LAST = SPECS[-1].name


def test_nothing_set_changes_nothing():
    assert Settings.from_env({}) == Settings()
    assert Settings.from_env({"BWCACHE_MODELS": " ", "PATH": "/bin"}) == Settings()
    assert Settings().models == tuple(CATALOGUE)
    assert Settings().runs == RUNS
    assert Settings().launch_options() == {}


def test_each_is_read(tmp_path):
    settings = Settings.from_env(
        {
            "BWCACHE_MODELS": f"{LAST}, tinyworld",
            "BWCACHE_DEFAULT_MODEL": LAST,
            "BWCACHE_MAX_STEPS": "40",
            "BWCACHE_QUEUE_SIZE": "12",
            "BWCACHE_AUTH": "ada:pass:word, bob:x",
            "BWCACHE_RUNS": str(tmp_path),
            "BWCACHE_MCP": "On",
        }
    )
    auth = (("ada", "pass:word"), ("bob", "x"))
    assert settings == Settings(("tinyworld", LAST), LAST, 40, 12, auth, tmp_path, True)
    assert settings.launch_options() == {"auth": list(auth), "mcp_server": True}


def test_passwords_are_not_shown():
    settings = Settings.from_env({"BWCACHE_AUTH": "ada:hunter2"})
    assert "hunter2" not in repr(settings)
    with pytest.raises(ConfigError) as caught:
        Settings.from_env({"BWCACHE_AUTH": "ada:hunter2,hunter3"})
    assert "hunter" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("BWCACHE_MODELS", "tinyworld,gpt", "tinyworld"),
        ("BWCACHE_MODELS", "tinyworld,", "tinyworld"),
        ("BWCACHE_DEFAULT_MODEL", "gpt", "tinyworld"),
        ("BWCACHE_MAX_STEPS", "1", f"from 2 to {MAX_STEPS}"),
        ("BWCACHE_MAX_STEPS", "201", f"from 2 to {MAX_STEPS}"),
        ("BWCACHE_MAX_STEPS", "many", f"from 2 to {MAX_STEPS}"),
        ("BWCACHE_MAX_STEPS", "٣", f"from 2 to {MAX_STEPS}"),
        ("BWCACHE_QUEUE_SIZE", "0", "from 1 to"),
        ("BWCACHE_QUEUE_SIZE", "-1", "from 1 to"),
        ("BWCACHE_AUTH", "ada", "user:password"),
        ("BWCACHE_AUTH", ":x", "user:password"),
        ("BWCACHE_AUTH", "ada:", "user:password"),
        ("BWCACHE_AUTH", "ada:x,ada:y", "once"),
        ("BWCACHE_RUNS", "/nowhere/at/all", "folder"),
        ("BWCACHE_MCP", "perhaps", "on or off"),
    ],
)
def test_a_wrong_one_is_named_in_a_line(name, value, allowed):
    with pytest.raises(ConfigError) as caught:
        Settings.from_env({name: value})
    text = str(caught.value)
    assert text.startswith(f"{name}: got ")
    assert allowed in text
    assert "\n" not in text


def test_a_default_that_is_not_on_offer_is_refused():
    with pytest.raises(ConfigError, match="_DEFAULT_MODEL: .*one of those on offer: tinyw"):
        Settings.from_env({"BWCACHE_MODELS": "tinyworld", "BWCACHE_DEFAULT_MODEL": LAST})


def test_a_misspelt_name_is_refused_and_another_is_left_alone():
    with pytest.raises(ConfigError, match="BWCACHE_MODEL'; allowed is BWCACHE_MODELS"):
        Settings.from_env({"BWCACHE_MODEL": "tinyworld"})
    assert Settings.from_env({"BWCACHE_CHROMIUM": "/usr/bin/chromium"}) == Settings()


def test_models_on_offer():
    chosen = Settings(models=("tinyworld", LAST), default_model=LAST)
    assert [spec.name for spec in chosen.offered(SPECS)] == [LAST, "tinyworld"]
    assert Settings().offered(SPECS) == SPECS
    one = Settings(models=(LAST,))
    with pytest.raises(ConfigError, match="BWCACHE_MODELS: .* runs on this machine: tinyworld"):
        one.offered([CATALOGUE["tinyworld"]])


def test_a_request_is_held_to_them():
    settings = Settings(models=("tinyworld",), max_steps=20)
    request = Request("a red circle moving right on a white background", steps=20)
    settings.check(request)
    assert settings.steps(CATALOGUE["tinyworld"]) == 20
    with pytest.raises(ConfigError, match="steps: got 21; allowed is a whole number from 2 to 20"):
        settings.check(Request(request.prompt, steps=21))
    with pytest.raises(ConfigError, match="model: got .*; allowed is tinyworld"):
        settings.check(Request(request.prompt, model=LAST, steps=2))


def test_the_card_documents_every_variable():
    assert set(re.findall(r"^\| `(BWCACHE_\w+)` \|", CARD, re.MULTILINE)) == set(VARIABLES)


class Page:
    """Notes what `gr.Blocks.launch` would be called with."""

    def launch(self, **options):
        return options


def test_gradio_variables_are_left_to_gradio(monkeypatch):
    monkeypatch.delenv("SPACE_ID", raising=False)
    monkeypatch.delenv("GRADIO_SERVER_NAME", raising=False)
    options = launch(Page())
    assert options["server_name"] == "127.0.0.1"
    documented = set(re.findall(r"`GRADIO_(\w+)`", CARD)) - {"SERVER_NAME"}
    assert documented == {"SERVER_PORT", "ROOT_PATH", "TEMP_DIR"}
    assert not {name.lower() for name in documented} & set(options)  # so Gradio looks them up
    monkeypatch.setenv("GRADIO_SERVER_NAME", "0.0.0.0")
    assert launch(Page())["server_name"] == "0.0.0.0"
    assert launch(Page(), **Settings(auth=(("a", "b"),)).launch_options())["auth"] == [("a", "b")]

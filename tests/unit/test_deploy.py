"""The Space: its card, the folder made for it, what is refused, and what the hub is asked for."""

import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from huggingface_hub import HfApi, SpaceCard
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
from safetensors.numpy import load_file

from bwcache import cli
from bwcache.errors import DeployError
from bwcache.models.catalogue import CATALOGUE
from bwcache.space import deploy, space_card, space_folder
from bwcache.space.space_card import ALLOWED, ZERO, ZERO_PYTHON, ZERO_TORCH

ROOT = Path(__file__).parents[2]
NEEDED = ("app.py", "LICENSE", "README.md", "requirements.txt", "bwcache/ui/static/live.js")


def front_matter(text: str) -> dict:
    """Read as any YAML reader would, without the code under test."""
    return yaml.safe_load(text.split("---\n")[1])


def files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """What `deploy` reads of the repository, to be damaged."""
    root = tmp_path_factory.mktemp("checkout")
    for name in (*space_folder.WHOLE, "assets/figures/stage-light.png"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        copy(ROOT / name, root / name)
    for name in (space_folder.CARD, space_folder.REQUIREMENTS):
        shutil.copyfile(ROOT / name, root / name)
    return root


@pytest.fixture
def copy(checkout, tmp_path):
    """A copy of it for one test."""
    return shutil.copytree(checkout, tmp_path / "checkout")


@pytest.fixture(scope="module")
def folder(checkout, tmp_path_factory):
    """The folder for ZeroGPU."""
    made = tmp_path_factory.mktemp("space")
    space_folder.assemble(made, "somebody/their-space", ZERO, checkout)
    return made


# The card


def test_the_card_is_valid():
    text = (ROOT / "Spaces-README.md").read_text(encoding="utf-8")
    data = front_matter(text)
    assert data == SpaceCard(text).data.to_dict()
    assert set(space_card.NEEDED) | {"thumbnail", "models", "tags", "preload_from_hub"} <= set(data)
    assert set(data) <= set(ALLOWED)
    assert space_card.read(ROOT / "Spaces-README.md").data.to_dict() == data
    assert len(data["short_description"]) <= 60
    assert data["python_version"] in ZERO_PYTHON
    assert data["suggested_hardware"] == ZERO


def test_the_card_agrees_with_the_requirements():
    data = front_matter((ROOT / "Spaces-README.md").read_text(encoding="utf-8"))
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    assert space_folder.pin(text, "gradio") == f"=={data['sdk_version']}"
    for version in ZERO_TORCH:
        low, high = space_folder.pin(text, "torch").removeprefix(">=").split(",<")
        assert as_numbers(low) <= as_numbers(version) < as_numbers(high)


def as_numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


def test_the_card_preloads_what_the_catalogue_loads():
    data = front_matter((ROOT / "Spaces-README.md").read_text(encoding="utf-8"))
    specs = {spec.source: spec for spec in CATALOGUE.values()}
    for line in data["preload_from_hub"]:
        repository, names, commit = line.split(" ")
        spec = specs[repository]
        assert spec.revision in (None, commit)
        assert repository in data["models"]
        parts = {name.split("/")[0] for name in names.split(",")}
        assert {"model_index.json", *spec.parameters} <= parts
        assert all(name.endswith((".json", ".safetensors", ".model")) for name in names.split(","))


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("sdk", "docker", "gradio"),
        ("sdk_version", 6.31, "a version"),
        ("python_version", 3.12, "a version"),
        ("colorFrom", "teal", "indigo"),
        ("emoji", "x", "one emoji"),
        ("short_description", "x" * 61, "60 characters"),
        ("suggested_hardware", "h100", "zero-a10g"),
        ("startup_duration_timeout", "soon", "30m"),
        ("thumbnail", "", "a picture"),
        ("tags", "video", "a list"),
        ("models", ["wan"], "hub repositories"),
        ("preload_from_hub", ["a/b *.json"], "repository file"),
        ("preload_from_hub", ["a/b x.json main"], "repository file"),
        ("pinned", "no", "true or false"),
        ("colour", "red", "no key that Spaces document"),
        ("license", None, "licence"),
    ],
)
def test_a_wrong_key_is_named(tmp_path, key, value, allowed):
    text = (ROOT / "Spaces-README.md").read_text(encoding="utf-8")
    data = front_matter(text) | {key: value}
    card = tmp_path / "card.md"
    card.write_text(f"---\n{yaml.safe_dump(data, allow_unicode=True)}---\nText\n", encoding="utf-8")
    with pytest.raises(DeployError, match=rf"card.md: {key} .*{allowed}"):
        space_card.read(card)


@pytest.mark.parametrize("text", ["no card\n", "---\na: [\n---\n", "---\n- a\n---\n"])
def test_no_card_at_all(tmp_path, text):
    (tmp_path / "card.md").write_text(text)
    with pytest.raises(DeployError, match="card.md: "):
        space_card.read(tmp_path / "card.md")


# The folder


def test_the_folder_has_what_it_needs_and_nothing_else(folder):
    space_folder.check(folder, ZERO)
    names = files(folder)
    assert set(NEEDED) <= set(names)
    assert {name.split("/")[0] for name in names} == {
        *("app.py", "LICENSE", "README.md", "requirements.txt", "bwcache", "assets"),
    }
    assert {name.split("/")[1] for name in names if name.startswith("assets/")} == {
        *("figures", "runs", "tinyworld"),
    }
    assert not [name for name in names if "__pycache__" in name or "/." in name]
    assert names == sorted(files(folder))
    weights = "assets/tinyworld/transformer/diffusion_pytorch_model.safetensors"
    assert load_file(folder / weights).keys() == load_file(ROOT / weights).keys()
    assert "assets/runs/1-balanced/run.json" in names


def test_nothing_left_out_is_missed(folder):
    """What trains the model stays behind; `test_rules` holds that nothing else imports it."""
    assert not (folder / space_folder.TRAINING).exists()
    assert (folder / "bwcache" / "tinyworld" / "load.py").exists()


@pytest.mark.parametrize(
    ("hardware", "torch", "preloads"),
    [
        (ZERO, f"=={ZERO_TORCH[-1]}", True),
        ("a10g-small", ">=2.8,<2.14", True),
        ("cpu-basic", ">=2.8,<2.14", False),
    ],
)
def test_card_and_requirements_fit_the_hardware(checkout, tmp_path, hardware, torch, preloads):
    space_folder.assemble(tmp_path, "somebody/their-space", hardware, checkout)
    space_folder.check(tmp_path, hardware)
    data = front_matter((tmp_path / "README.md").read_text(encoding="utf-8"))
    assert data["suggested_hardware"] == hardware
    assert ("preload_from_hub" in data) is preloads
    url = "https://huggingface.co/spaces/somebody/their-space/resolve/main/"
    assert data["thumbnail"] == f"{url}assets/figures/stage-light.png"
    assert (tmp_path / data["thumbnail"].removeprefix(url)).is_file()
    ours = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    theirs = (tmp_path / "requirements.txt").read_text(encoding="utf-8")
    assert space_folder.pin(theirs, "torch") == torch
    for package in ("gradio", "diffusers", "transformers", "torchmetrics"):
        assert space_folder.pin(theirs, package) == space_folder.pin(ours, package) != ""


def test_a_duplicate_needs_nothing_of_its_owner(checkout, folder, tmp_path):
    """Only the thumbnail's address names the Space; no secret is asked for."""
    space_folder.assemble(tmp_path, "another/copy", ZERO, checkout)
    assert files(tmp_path) == files(folder)
    for name in files(folder):
        one, other = (tmp_path / name).read_bytes(), (folder / name).read_bytes()
        if name == "README.md":
            assert one.replace(b"another/copy", b"somebody/their-space") == other
            assert one.count(b"another/copy") == 1
        else:
            assert one == other
    code = b"".join((folder / name).read_bytes() for name in ("app.py", "README.md"))
    for asked in (b"hf_oauth", b"SPACE_AUTHOR", b'environ["'):
        assert asked not in code


def damage(root: Path, name: str, how) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    how(path)


def replaced(old: str, new: str):
    def how(path: Path) -> None:
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")

    return how


@pytest.mark.parametrize(
    ("name", "how", "said"),
    [
        ("requirements.txt", replaced("gradio==6", "gradio==5"), "sdk_version is '6.*allowed.* 5"),
        ("requirements.txt", replaced("gradio==", "radio=="), "sdk_version .* none"),
        ("Spaces-README.md", replaced("3.12.12", "3.11.9"), "python_version is '3.11.9'.*ZeroGPU"),
        ("Spaces-README.md", replaced("stage-light.png\ntags", "no.png\ntags"), "thumbnail is 'as"),
        ("Spaces-README.md", Path.unlink, "Spaces-README.md: missing"),
        ("app.py", Path.unlink, "app.py: missing"),
        (
            "assets/tinyworld/vae/diffusion_pytorch_model.safetensors",
            Path.unlink,
            "no weights of v",
        ),
        (
            "assets/tinyworld/transformer/diffusion_pytorch_model.safetensors",
            lambda path: path.write_bytes(path.read_bytes()[:100_000]),
            "transformer/diffusion_pytorch_model.safetensors: cannot be read",
        ),
        ("assets/runs/1-balanced/run.json", lambda p: p.write_text("{}"), "assets/runs/1-balanced"),
        ("assets/runs", shutil.rmtree, "assets/runs: missing"),
        (
            "assets/runs/1-balanced/huge.mp4",
            lambda path: path.write_bytes(bytes(11 * 2**20)),
            "huge.mp4: 11 MiB; allowed are 10",
        ),
        (
            "bwcache/mine.py",
            lambda path: path.write_text(f"TOKEN = 'hf_{'aB3' * 12}'\n"),
            "bwcache/mine.py: holds what looks like an access token",
        ),
        ("bwcache/server.pem", Path.touch, "server.pem: by its name this holds a secret"),
        ("bwcache/link.py", lambda path: path.symlink_to("/etc/hostname"), "link.py: a link"),
    ],
)
def test_what_would_not_start_is_refused_and_nothing_is_left(
    copy, tmp_path, monkeypatch, capsys, name, how, said
):
    damage(copy, name, how)
    monkeypatch.setattr(space_folder.assemble, "__defaults__", (copy,))
    target = tmp_path / "out"
    assert cli.main(["deploy", "somebody/space", "--dry-run", "--out", str(target)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("bwcache: ")
    assert error.count("\n") == 1
    assert re.search(said, error)
    assert [path.name for path in tmp_path.iterdir()] == ["checkout"]


def test_leftovers_stay_behind(copy, tmp_path):
    for name in ("bwcache/__pycache__/x.pyc", "bwcache/.env", "assets/runs/.writing-1/run.json"):
        damage(copy, name, Path.touch)
    made = tmp_path / "made"
    made.mkdir()
    space_folder.assemble(made, "somebody/space", ZERO, copy)
    space_folder.check(made, ZERO)
    assert not [name for name in files(made) if "__pycache__" in name or "/." in name]


# The command


def test_dry_run_writes_the_folder_whole(tmp_path, capsys):
    for out in (tmp_path / "new" / "deeper", tmp_path / "empty"):
        if out.name == "empty":
            out.mkdir()
        given = ["deploy", "somebody/space", "--hardware", "cpu-basic", "--dry-run"]
        assert cli.main([*given, "--out", str(out)]) == 0
        space_folder.check(out, "cpu-basic")
        assert "Nothing was uploaded" in capsys.readouterr().out
        assert not list(out.parent.glob(".writing-*"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["space"], "space: got 'space'; allowed is OWNER/NAME"),
        (["a/b/c"], "space: got 'a/b/c'; allowed is OWNER/NAME"),
        (["a/b c"], "space: got 'a/b c'; allowed is OWNER/NAME"),
        (["a/b", "--hardware", "h100"], "hardware: got 'h100'; allowed is cpu-basic, "),
        (["a/b", "--dry-run"], "out: got None; allowed is a new or empty folder"),
        (["a/b", "--out", "x"], "out: got 'x'; allowed is nothing without --dry-run"),
        (["a/b", "--dry-run", "--out", str(ROOT)], "allowed is a new or empty folder"),
        (["a/b", "--dry-run", "--out", __file__], "allowed is a new or empty folder"),
        (["a/b", "--dry-run", "--out", "/proc/x"], "out: got '/proc/x'; allowed is a folder that"),
    ],
)
def test_bad_input_is_a_line(capsys, given, said):
    assert cli.main(["deploy", *given]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


class Hub:
    """Stands in for `HfApi`: notes what is asked of it."""

    def __init__(self, fails: dict | None = None, there: tuple = (".gitattributes", "README.md")):
        self.asked, self.uploaded, self._fails, self._there = [], [], fails or {}, there

    def __call__(self, token):
        assert token == "a token"
        return self

    def _note(self, name: str, **given) -> None:
        self.asked.append((name, given))
        if name in self._fails:
            raise self._fails[name]

    def create_repo(self, repo_id, **given):
        self._note("create_repo", repo_id=repo_id, **given)
        return f"https://huggingface.co/spaces/{repo_id}"

    def list_repo_files(self, repo_id, repo_type):
        return list(self._there)

    def upload_folder(self, folder_path, **given):
        self._note("upload_folder", **given)
        self.uploaded = files(Path(folder_path))

    def request_space_hardware(self, repo_id, hardware):
        self._note("request_space_hardware", repo_id=repo_id, hardware=hardware)


@pytest.fixture
def hub(monkeypatch):
    """Puts a stand-in in the hub's place, and gives it."""

    def use(**how) -> Hub:
        stand_in = Hub(**how)
        monkeypatch.setattr(deploy, "HfApi", stand_in)
        monkeypatch.setattr(deploy, "get_token", lambda: "a token")
        return stand_in

    return use


def refused(status: int) -> HfHubHTTPError:
    """As the hub's client raises it."""
    response = SimpleNamespace(status_code=status, headers={}, request=None)
    return HfHubHTTPError(f"{status} Client Error", response=response)


def test_upload(hub, folder, capsys):
    asked_of = hub()
    given = ["deploy", "somebody/their-space", "--hardware", ZERO, "--private"]
    assert cli.main(given) == 0
    assert "https://huggingface.co/spaces/somebody/their-space" in capsys.readouterr().out
    made, uploaded, hardware = asked_of.asked
    space = "somebody/their-space"
    assert made == (
        "create_repo",
        {"repo_id": space, "repo_type": "space", "space_sdk": "gradio"}
        | {"private": True, "exist_ok": True},
    )
    assert uploaded[0] == "upload_folder"
    assert (uploaded[1]["repo_id"], uploaded[1]["repo_type"]) == (space, "space")
    assert asked_of.uploaded == files(folder)
    assert hardware == ("request_space_hardware", {"repo_id": space, "hardware": ZERO})


def test_upload_without_hardware_asks_for_none(hub):
    asked_of = hub(there=(".gitattributes", "README.md", "app.py", "bwcache/__init__.py"))
    assert cli.main(["deploy", "somebody/space"]) == 0
    assert [name for name, _ in asked_of.asked] == ["create_repo", "upload_folder"]
    assert asked_of.asked[0][1]["private"] is None


@pytest.mark.parametrize(
    ("fails", "said"),
    [
        ({"create_repo": OfflineModeIsEnabled("no")}, "HF_HUB_OFFLINE forbids"),
        ({"create_repo": ConnectionError("no route")}, "cannot be reached (no route): check"),
        ({"create_repo": refused(401)}, "refused the access token: log in anew"),
        ({"create_repo": refused(402)}, "needs a paid plan"),
        ({"create_repo": refused(403)}, "may not write to somebody/space: use one that may"),
        ({"create_repo": refused(404)}, "knows no owner 'somebody'"),
        ({"create_repo": refused(409)}, "taken by something that is no Space: choose another"),
        ({"upload_folder": refused(500)}, "did not take somebody/space (HTTP 500): try again"),
        ({"upload_folder": RuntimeError("transfer\nbroke")}, "(transfer): try again later"),
        ({"request_space_hardware": refused(403)}, "is uploaded, https://huggingface.co/spaces/so"),
    ],
)
def test_what_the_hub_refuses_is_a_sentence(hub, capsys, fails, said):
    hub(fails=fails)
    assert cli.main(["deploy", "somebody/space", "--hardware", "l4x1"]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.startswith("bwcache: ")
    assert error.count("\n") == 1


def test_a_hub_that_does_not_answer_is_a_sentence(monkeypatch, capsys):
    """With the hub's own client, at an address where nobody listens."""
    nobody = HfApi(endpoint="http://127.0.0.1:1", token="a token")
    monkeypatch.setattr(deploy, "HfApi", lambda token: nobody)
    monkeypatch.setattr(deploy, "get_token", lambda: "a token")
    assert cli.main(["deploy", "somebody/space"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("bwcache: the Hugging Face hub cannot be reached (")
    assert error.count("\n") == 1


def test_a_space_of_something_else_is_not_overwritten(hub, capsys):
    asked_of = hub(there=("README.md", "app.py", "model.py"))
    assert cli.main(["deploy", "somebody/space"]) == 2
    assert "allowed is a new name, or a Space that this page is on" in capsys.readouterr().err
    assert [name for name, _ in asked_of.asked] == ["create_repo"]


def test_without_a_token_it_says_how_to_log_in(monkeypatch, capsys):
    monkeypatch.setattr(deploy, "get_token", lambda: None)
    assert cli.main(["deploy", "somebody/space"]) == 2
    assert "hf auth login, or set HF_TOKEN" in capsys.readouterr().err

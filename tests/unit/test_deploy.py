"""The Space: its card, the folder made for it, what is refused, and what the hub is asked for."""

import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from huggingface_hub import HfApi, SpaceCard
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

from bwcache import cli
from bwcache.models.catalogue import CATALOGUE
from bwcache.space import deploy
from bwcache.space.deploy import CARD, REQUIREMENTS, ZERO, ZERO_TORCH, assemble

ROOT = Path(__file__).parents[2]
ZERO_PYTHON = ("3.10.13", "3.12.12")  # what the hub's "Spaces ZeroGPU" page lists
PICTURE = "assets/figures/stage-light.png"
NOT_SHIPPED = re.compile(
    r"(^|/)(\.|tests/|tinyworld_training/|__pycache__/)|^assets/(results|prompts)/|\.pyc$"
)


def front_matter(text: str) -> dict:
    """Read as any YAML reader would, without the code under test."""
    return yaml.safe_load(text.split("---\n")[1])


def files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def pin(text: str, package: str) -> str:
    """What the requirements say of a package, such as "==6.31.0" or ">=2.8,<2.14"."""
    return re.search(rf"^{package}(?![\w.-])([^#\n]*)", text, re.MULTILINE)[1].strip()


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """What `deploy` reads of the repository, to be damaged, with leftovers that stay behind."""
    root = tmp_path_factory.mktemp("checkout")
    for name in (*deploy.SHIPPED, PICTURE, CARD, REQUIREMENTS):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        copy(ROOT / name, root / name)
    for name in ("bwcache/.env", "bwcache/ui/.cache/x", "assets/runs/.writing-1/run.json"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


@pytest.fixture
def copy(checkout, tmp_path):
    """A copy of it for one test."""
    return shutil.copytree(checkout, tmp_path / "checkout")


@pytest.fixture(scope="module")
def folder(checkout, tmp_path_factory):
    """The folder for ZeroGPU."""
    made = tmp_path_factory.mktemp("space")
    assemble(made, "somebody/their-space", ZERO, checkout)
    return made


# The card


def test_the_card_is_what_spaces_document():
    """Source: the hub's "Spaces configuration reference" and "Spaces ZeroGPU" pages."""
    text = (ROOT / CARD).read_text(encoding="utf-8")
    data = front_matter(text)
    assert SpaceCard(text).data.to_dict() == data
    assert (data["sdk"], data["app_file"]) == ("gradio", "app.py")
    assert data["suggested_hardware"] == ZERO
    assert data["python_version"] in ZERO_PYTHON
    assert 1 <= len(data["short_description"]) <= 60
    assert re.fullmatch(r"[1-9]\d*[mh]", data["startup_duration_timeout"])
    colours = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
    assert {data["colorFrom"], data["colorTo"]} <= colours
    requirements = (ROOT / REQUIREMENTS).read_text(encoding="utf-8")
    assert pin(requirements, "gradio") == f"=={data['sdk_version']}"
    low, high = pin(requirements, "torch").removeprefix(">=").split(",<")
    assert as_numbers(low) <= as_numbers(ZERO_TORCH) < as_numbers(high)


def as_numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


def test_the_card_preloads_what_the_catalogue_loads():
    data = front_matter((ROOT / CARD).read_text(encoding="utf-8"))
    specs = {spec.weights.source: spec for spec in CATALOGUE.values()}
    for line in data["preload_from_hub"]:
        repository, names, commit = line.split(" ")
        weights = specs[repository].weights
        assert weights.revision in (None, commit)
        assert repository in data["models"]
        parts = {name.split("/")[0] for name in names.split(",")}
        assert {"model_index.json", *weights.parameters} <= parts
        assert all(name.endswith((".json", ".safetensors", ".model")) for name in names.split(","))


# The folder


def test_the_folder_has_what_it_needs_and_nothing_else(folder):
    names = files(folder)
    assert not [name for name in names if NOT_SHIPPED.search(name)]
    assert {
        *("app.py", "LICENSE", "README.md", "requirements.txt", PICTURE),
        *("bwcache/tinyworld/load.py", "bwcache/ui/page.py"),
        *("assets/tinyworld/model_index.json", "assets/runs/1-balanced/run.json"),
    } <= set(names)
    assert [name for name in names if re.match("bwcache/ui/static/.*[.]js$", name)]
    assert {name.split("/")[0] for name in names} == {
        *("app.py", "LICENSE", "README.md", "requirements.txt", "bwcache", "assets"),
    }
    for name in names:
        if name not in ("README.md", "requirements.txt"):
            assert (folder / name).read_bytes() == (ROOT / name).read_bytes(), name


@pytest.mark.parametrize(
    ("hardware", "torch", "preloads"),
    [
        (ZERO, f"=={ZERO_TORCH}", True),
        (None, f"=={ZERO_TORCH}", True),  # the card suggests ZeroGPU
        ("a10g-small", ">=2.8,<2.14", True),
        ("cpu-basic", ">=2.8,<2.14", False),
    ],
)
def test_card_and_requirements_fit_the_hardware(checkout, tmp_path, hardware, torch, preloads):
    assemble(tmp_path, "somebody/their-space", hardware, checkout)
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    data, ours = front_matter(text), front_matter((ROOT / CARD).read_text(encoding="utf-8"))
    assert data["suggested_hardware"] == (hardware or ZERO)
    url = "https://huggingface.co/spaces/somebody/their-space/resolve/main/"
    assert data["thumbnail"] == url + PICTURE
    assert (tmp_path / PICTURE).is_file()
    at_build = {"preload_from_hub", "startup_duration_timeout"}
    assert data.keys() == ours.keys() - (set() if preloads else at_build)
    same = data.keys() - {"suggested_hardware", "thumbnail"}
    assert {key: data[key] for key in same} == {key: ours[key] for key in same}
    ours = (ROOT / REQUIREMENTS).read_text(encoding="utf-8")
    theirs = (tmp_path / REQUIREMENTS).read_text(encoding="utf-8")
    assert pin(theirs, "torch") == torch
    others = [re.sub(r"(?m)^torch[>=].*", "", text) for text in (ours, theirs)]
    assert others[0] == others[1]


def test_a_duplicate_needs_nothing_of_its_owner(checkout, folder, tmp_path):
    """Only the thumbnail's address names the Space; no secret is asked for."""
    assemble(tmp_path, "another/copy", ZERO, checkout)
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


def without_a_picture(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("stage-light.png\ntags", "no.png\ntags"), encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "damage", "said"),
    [
        (CARD, Path.unlink, "Spaces-README.md: missing; deploy from a whole checkout"),
        (CARD, lambda path: path.write_text("---\na: [\n---\n"), "no card that can be read"),
        (CARD, without_a_picture, "thumbnail is 'assets/figures/no.png'; allowed is a picture"),
        ("app.py", Path.unlink, "app.py: missing"),
        ("assets/tinyworld/vae", shutil.rmtree, "assets/tinyworld/vae/.*: missing"),
        ("assets/runs", shutil.rmtree, "assets/runs/.*: missing"),
    ],
)
def test_without_what_it_needs_it_is_refused_and_nothing_is_left(
    copy, tmp_path, monkeypatch, capsys, name, damage, said
):
    damage(copy / name)
    monkeypatch.setattr(deploy.assemble, "__defaults__", (copy,))
    target = tmp_path / "out"
    assert cli.main(["deploy", "somebody/space", "--dry-run", "--out", str(target)]) == 2
    error = capsys.readouterr().err
    assert re.match(f"bwcache: .*{said}", error)
    assert error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["checkout"]


# The command


def test_dry_run_writes_the_folder_whole(folder, tmp_path, capsys):
    for out in (tmp_path / "new" / "deeper", tmp_path / "empty"):
        if out.name == "empty":
            out.mkdir()
        given = ["deploy", "somebody/space", "--hardware", "cpu-basic", "--dry-run"]
        assert cli.main([*given, "--out", str(out)]) == 0
        assert files(out) == files(folder)
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
        ({"create_repo": ConnectionError("no route")}, "cannot be reached; check the connection"),
        ({"create_repo": refused(401)}, "refuses this HF_TOKEN; log in with hf auth login"),
        ({"create_repo": refused(402)}, "needs a paid plan"),
        ({"create_repo": refused(403)}, "with a token that may write to somebody/space"),
        ({"create_repo": refused(429)}, "refuses more requests for now; wait some minutes"),
        ({"create_repo": refused(404)}, "knows no owner 'somebody'"),
        ({"create_repo": refused(409)}, "taken by something that is no Space: choose another"),
        ({"upload_folder": refused(500)}, "is out of order (it answered 500); try again later"),
        ({"upload_folder": RuntimeError("transfer\nbroke")}, "(transfer); try again later"),
        ({"upload_folder": ValueError("Invalid metadata\n- x")}, "space (Invalid metadata); try"),
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
    assert error.startswith("bwcache: the hub cannot be reached; check the connection")
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

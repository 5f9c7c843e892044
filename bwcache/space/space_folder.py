"""The Space's folder: what goes into it, and whether it would start. Uploads nothing."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError
from safetensors.numpy import load_file

from ..errors import DeployError, RecordedError
from ..runs.recorded import listing
from . import space_card
from .space_card import ZERO, ZERO_PYTHON, ZERO_TORCH

ROOT = Path(__file__).parents[2]
CARD, REQUIREMENTS = "Spaces-README.md", "requirements.txt"
WHOLE = ("app.py", "LICENSE", "bwcache", "assets/tinyworld", "assets/runs")
TRAINING = "bwcache/tinyworld_training"  # makes the weights; nothing that the page does imports it
JUNK = re.compile(r"__pycache__|\..*|.*\.(py[cod]|tmp|log|bak|orig|swp)|.*~")
LARGEST = 10 * 2**20  # bytes; weights may be larger
SECRET_FILES = re.compile(r"\.env.*|\.netrc|\.git-credentials|id_(rsa|ed25519)|.*\.(pem|key|p12)")
SECRETS = re.compile(
    rb"hf_[A-Za-z0-9]{30,}|gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{50,}|sk-[A-Za-z0-9_-]{32,}"
    rb"|AKIA[0-9A-Z]{16}|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)
TORCH = re.compile(r"^torch(?![\w.-]).*$", re.MULTILINE)
ZERO_PIN = f"torch=={ZERO_TORCH[-1]}  # the newest that ZeroGPU lists"


def assemble(folder: Path, space: str, hardware: str, root: Path = ROOT) -> None:
    """Write a Space's files.

    Args:
        folder: Empty.
        space: OWNER/NAME.
        hardware: One of `space_card.HARDWARE`.
        root: A checkout of the repository.

    Raises:
        DeployError: The checkout lacks a file, or its card cannot be used.
        OSError: The folder cannot be written to.
    """
    for name in (CARD, REQUIREMENTS, *WHOLE):
        if not (root / name).exists():
            raise DeployError(f"{name}: missing; deploy from a whole checkout of the repository")
    card = space_card.read(root / CARD)
    picture = space_card.picture(card)
    if picture and not (root / picture).is_file():
        raise DeployError(f"{CARD}: thumbnail is {picture!r}; allowed is a picture that is there")
    for source in _wanted(root, (*WHOLE, *([picture] if picture else []))):
        target = folder / source.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    text = space_card.fitted(card, space, hardware)
    (folder / "README.md").write_text(text, encoding="utf-8")
    text = requirements((root / REQUIREMENTS).read_text(encoding="utf-8"), hardware)
    (folder / REQUIREMENTS).write_text(text, encoding="utf-8")


def _wanted(root: Path, names: tuple[str, ...]) -> Iterator[Path]:
    for name in names:
        start = root / name
        for path in [start, *sorted(start.rglob("*"))]:
            inside = path.relative_to(root)
            if path.is_symlink():
                raise DeployError(f"{inside}: a link; a Space needs the file itself")
            junk = any(JUNK.fullmatch(part) for part in inside.parts)
            if path.is_file() and not junk and not inside.is_relative_to(TRAINING):
                yield path


def requirements(text: str, hardware: str) -> str:
    """The requirements, with the one torch that ZeroGPU lists where that is the hardware."""
    return TORCH.sub(ZERO_PIN, text, count=1) if hardware == ZERO else text


def pin(text: str, package: str) -> str:
    """What the requirements say of a package, such as "==6.31.0" or ">=2.8,<2.14"; "" for none."""
    found = re.search(rf"^{package}(?![\w.-])([^#\n]*)", text, re.MULTILINE)
    return found.group(1).replace(" ", "") if found else ""


def check(folder: Path, hardware: str) -> None:
    """Refuse a folder that would not build or start as a Space, or that gives something away.

    Raises:
        DeployError: The first thing that is wrong.
    """
    _check_files(folder)
    _check_versions(folder, hardware)
    _check_weights(folder / "assets" / "tinyworld")
    runs = listing(folder / "assets" / "runs")
    for name, run in runs:
        if isinstance(run, RecordedError):
            raise DeployError(f"assets/runs/{name}: {run}; record it anew or remove it")
    if not runs:
        raise DeployError("assets/runs: no recorded run; make one with python -m bwcache record")


def _check_files(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if SECRET_FILES.fullmatch(path.name):
            raise DeployError(f"{name}: by its name this holds a secret; remove it")
        if JUNK.fullmatch(path.name):
            raise DeployError(f"{name}: a leftover that no Space needs; remove it")
        if path.is_dir():
            continue
        if path.stat().st_size > LARGEST and path.suffix != ".safetensors":
            size = path.stat().st_size / 2**20
            raise DeployError(f"{name}: {size:.0f} MiB; allowed are {LARGEST // 2**20}")
        if path.suffix != ".safetensors" and SECRETS.search(path.read_bytes()):
            raise DeployError(f"{name}: holds what looks like an access token or a key; remove it")


def _check_versions(folder: Path, hardware: str) -> None:
    data = space_card.read(folder / "README.md").data
    text = (folder / REQUIREMENTS).read_text(encoding="utf-8")
    gradio = pin(text, "gradio")
    if gradio != f"=={data.sdk_version}":
        allowed = f"the gradio of {REQUIREMENTS}, {gradio.removeprefix('==') or 'none'}"
        raise DeployError(f"{CARD}: sdk_version is {data.sdk_version!r}; allowed is {allowed}")
    if not (folder / data.app_file).is_file():
        raise DeployError(f"{CARD}: app_file is {data.app_file!r}; there is no such file")
    if hardware != ZERO:
        return
    if data.python_version not in ZERO_PYTHON:
        allowed = f"one that ZeroGPU lists: {', '.join(ZERO_PYTHON)}"
        raise DeployError(
            f"{CARD}: python_version is {data.python_version!r}; allowed is {allowed}"
        )
    if pin(text, "torch").removeprefix("==") not in ZERO_TORCH:
        allowed = f"one that ZeroGPU lists: {', '.join(ZERO_TORCH)}"
        raise DeployError(f"{REQUIREMENTS}: torch is {pin(text, 'torch')!r}; allowed is {allowed}")


def _check_weights(folder: Path) -> None:
    files = sorted(folder.rglob("*.safetensors"))
    parts = {path.parent.name for path in files}
    if missing := {"transformer", "vae", "text_encoder"} - parts:
        raise DeployError(f"assets/tinyworld: no weights of {', '.join(sorted(missing))}")
    for path in files:
        try:
            load_file(path)
        except (SafetensorError, OSError) as error:
            name = path.relative_to(folder.parent.parent).as_posix()
            raise DeployError(f"{name}: cannot be read ({error}); restore it") from None

"""What the Space's folder asks for can be met with the Python of its card and ZeroGPU's torch."""

import pytest
from huggingface_hub import SpaceCard

from bwcache.space.deploy import ZERO, ZERO_TORCH
from tests.unit.test_deploy import pin

from ..environments import fresh_python, pip
from .conftest import deployed

# With this pip a dry run reads the wheels' metadata alone: 35 MB instead of 2 GB for CUDA's torch.
PIP = "pip>=25.3"
PINNED = ("gradio", "diffusers", "transformers")


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    return fresh_python(tmp_path_factory.mktemp("environment") / "venv", PIP)


@pytest.mark.slow
@pytest.mark.parametrize("hardware", [ZERO, "cpu-basic"])
def test_requirements_resolve_for_its_python(python, tmp_path, hardware):
    folder = deployed(tmp_path / "space", hardware)
    version = SpaceCard.load(folder / "README.md").data.python_version
    assert version == "3.12.12"
    nowhere = tmp_path / "nowhere"
    options = ["--dry-run", "--ignore-installed", "--use-feature=fast-deps"]
    options += ["--only-binary=:all:", "--python-version", version, "--target", str(nowhere)]
    said = pip(python, "install", *options, "-r", str(folder / "requirements.txt"))
    would = said.splitlines()[-1].split(" ")
    assert would[:2] == ["Would", "install"]
    text = (folder / "requirements.txt").read_text(encoding="utf-8")
    for package in PINNED:
        assert f"{package}-{pin(text, package).removeprefix('==')}" in would
    if hardware == ZERO:
        assert f"torch-{ZERO_TORCH}" in would
    assert not nowhere.exists()

"""What pyproject.toml says agrees with requirements.txt and with what the code imports."""

import ast
import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import bwcache

from ..environments import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
PAGE = {"ui", "space"}  # the packages that may need the page's extra


def versions(lines: list[str]) -> dict[str, str]:
    """Each package's name and the versions that are allowed."""
    asked = [Requirement(line) for line in lines]
    assert len({canonicalize_name(one.name) for one in asked}) == len(asked)
    return {canonicalize_name(one.name): str(one.specifier) for one in asked}


def third_party(package: str) -> set[str]:
    """The packages of others that one of ours imports, anywhere in it."""
    found = set()
    here = ROOT / "bwcache" / package
    for path in here.rglob("*.py") if here.is_dir() else [here.with_suffix(".py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add(node.module.split(".")[0])
    return found - sys.stdlib_module_names - {"bwcache"}


def test_a_space_installs_what_the_library_and_the_page_need():
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    lines = [line.partition("#")[0].strip() for line in lines]
    asked = versions([line for line in lines if line])
    assert asked == versions([*PROJECT["dependencies"], *EXTRAS["page"]])


PACKAGES = sorted(
    path.stem
    for path in (ROOT / "bwcache").iterdir()
    if (path.suffix == ".py" or (path / "__init__.py").exists()) and path.name != "__init__.py"
)


@pytest.mark.parametrize("package", PACKAGES)
def test_what_is_imported_is_declared(package):
    declared = versions(PROJECT["dependencies"]).keys()
    if package in PAGE:
        declared |= versions(EXTRAS["page"]).keys()
    if package in EXTRAS:
        declared |= versions(EXTRAS[package]).keys()
    distributions = packages_distributions()
    for name in third_party(package):
        owners = {canonicalize_name(owner) for owner in distributions.get(name, [name])}
        assert owners & declared, f"bwcache/{package} imports {name}"


def test_the_extras():
    assert {"page", "bench", "dev"} <= EXTRAS.keys()
    # what benchmarks take beyond is not among it
    assert any(line.startswith("bwcache[page,") for line in EXTRAS["dev"])
    assert PROJECT["scripts"] == {"bwcache": "bwcache.cli:main"}


def test_the_mcp_extra_is_what_the_page_asks_for():
    from bwcache.ui.serve import MCP_MISSING

    (asked,) = EXTRAS["mcp"]
    assert asked in MCP_MISSING


def test_every_public_name_is_there_for_editors_too():
    """The names under `TYPE_CHECKING`, those of `__all__` and those that can be imported."""
    (block,) = [
        node
        for node in ast.parse((ROOT / "bwcache/__init__.py").read_text(encoding="utf-8")).body
        if isinstance(node, ast.If)
    ]
    shown = {alias.name: f"bwcache.{node.module}" for node in block.body for alias in node.names}
    assert sorted(shown) == sorted(bwcache.__all__)
    for name, module in shown.items():
        __import__(module)
        assert getattr(bwcache, name) is getattr(sys.modules[module], name)

"""The project's own rules: which package may import which, and what a light command loads."""

import ast
import subprocess
import sys
from collections.abc import Mapping
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import bwcache

PACKAGE = Path(bwcache.__file__).parent
# a package imports only from those to its left
ORDER = (
    *("errors", "files", "cache", "tinyworld", "models", "runs", "explore", "space", "ui"),
    *("bench", "tinyworld_training", "cli", "testing", "__main__"),
)
# beyond the order: packages that do not see each other, or only part of what is to their left
ONLY = {
    "tinyworld": {"errors", "files", "tinyworld"},
    "space": set(ORDER[: ORDER.index("space") + 1]) - {"explore"},
    "bench": set(ORDER[: ORDER.index("bench") + 1]) - {"ui"},
    "testing": {*ORDER[: ORDER.index("runs") + 1], "testing"},
    "tinyworld_training": {"errors", "files", "tinyworld", "models", "tinyworld_training"},
}
# what decides, records and predicts needs the standard library alone, with all that it imports
LIGHT = (
    *("errors", "files", "cache.methods", "cache.trace", "cache.predict"),
    *(
        "cache.schedule_table",
        "cache.block_stacks",
        "models",
        "models.spec",
        "models.catalogue",
        "runs.verdict",
    ),
    *("explore.candidates", "explore.search", "explore.suggestion"),
)
MODULES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
}


def imports(name: str) -> set[str]:
    """Absolute names of what a module imports, anywhere in it, for type checkers too."""
    is_package = MODULES[name].name == "__init__.py"
    package = name.split(".") if is_package else name.split(".")[:-1]
    found = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *(node.module or "").split(".")]).rstrip(".")
            parts = {f"{module}.{alias.name}" for alias in node.names} & set(MODULES)
            found.update(parts)
            if len(parts) < len(node.names):  # something of the module itself
                found.add(module)
    return found - {name}


def package_of(name: str) -> str:
    return name.split(".")[1] if "." in name else "bwcache"


def test_a_package_imports_only_from_its_left():
    wrong = []
    for name in MODULES:
        own = package_of(name)
        if own == "bwcache":  # the door, which imports when a name is first used
            continue
        allowed = ONLY.get(own, set(ORDER[: ORDER.index(own) + 1])) | {"bwcache"}
        for other in imports(name) & set(MODULES):
            if package_of(other) not in allowed:
                wrong.append(f"{name} imports {other}")
    assert not wrong


def test_no_circle():
    graph = {name: imports(name) & set(MODULES) - {"bwcache"} for name in MODULES}
    list(TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("short", LIGHT)
def test_decisions_need_the_standard_library_only(short):
    waiting, seen = [f"bwcache.{short}"], set()
    while waiting:
        name = waiting.pop()
        seen.add(name)
        found = imports(name)
        foreign = {one.split(".")[0] for one in found} - {"bwcache"} - sys.stdlib_module_names
        assert not foreign, f"{name} imports {foreign}"
        waiting += [one for one in found if one in MODULES and one not in seen]


def test_few_files_touch_diffusers_hook_internals():
    parallel = ("diffusers.hooks.context_parallel", "diffusers.models._modeling_parallel")

    def users(*packages: str, other_than: tuple[str, ...] = ()) -> set[str]:
        return {
            module
            for module in MODULES
            for each in imports(module)
            if each.startswith(packages) and not each.startswith(other_than)
        }

    assert users("diffusers.hooks", other_than=parallel) == {
        "bwcache.cache.find_blocks",
        "bwcache.cache.in_turns",
    }
    assert users(*parallel) == {"bwcache.cache.context_parallel"}


def test_public_names():
    assert len(bwcache.__all__) == len(set(bwcache.__all__))
    for name in bwcache.__all__:
        found = getattr(bwcache, name)
        assert isinstance(found, Mapping) or found.__doc__, name


def run_blocking(blocked: str, program: str) -> None:
    """Run a program in a process of its own where some packages cannot be imported."""
    block = f"import sys; sys.modules.update(dict.fromkeys({blocked.split()!r}))\n"
    subprocess.run([sys.executable, "-c", block + program], check=True, cwd=PACKAGE.parent)


def test_the_engine_needs_no_page_and_no_hub():
    modules = [name for name in MODULES if package_of(name) == "cache"]
    program = f"import importlib\nfor name in {modules!r}: importlib.import_module(name)\n"
    program += "from bwcache import cached\nassert cached"
    run_blocking("gradio plotly pandas pydantic spaces imageio", program)
    run_blocking("gradio plotly transformers huggingface_hub", "import bwcache.cache")


def test_predicting_loads_no_torch():
    run_blocking(
        "torch numpy diffusers gradio plotly transformers huggingface_hub",
        "from bwcache.cli import main\n"
        "assert main(['predict', 'nowhere.json', '--threshold', '0.1']) == 2",
    )

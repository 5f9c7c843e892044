"""The project's own rules: who may import what, and what a light command loads."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import bwcache

PACKAGE = Path(bwcache.__file__).parent
MODULES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path
    for path in PACKAGE.rglob("*.py")
}
LIGHT = (
    *("policy", "events", "whatif", "config", "verdict", "stacks"),
    *("candidates", "search", "recommend", "rowsfile", "sweep_arguments", "suggestion"),
    *("spec", "deploy_arguments"),
)


def imports(name: str, top_level_only: bool = False) -> set[str]:
    """Absolute names of what a module imports, at its top level or anywhere."""
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    package = name.split(".") if MODULES[name].name == "__init__.py" else name.split(".")[:-1]
    if MODULES[name].name == "__init__.py":
        package = name.split(".")[:-1]
    found = set()
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *(node.module or "").split(".")]).rstrip(".")
            found.update({module, *(f"{module}.{alias.name}" for alias in node.names)})
    return found


def test_no_circle():
    graph = {name: imports(name, top_level_only=True) & set(MODULES) for name in MODULES}
    list(TopologicalSorter(graph).static_order())


def test_decisions_need_the_standard_library_only():
    for short in LIGHT:
        roots = {name.split(".")[0] for name in imports(f"bwcache.{short}")}
        assert roots - {"bwcache"} <= sys.stdlib_module_names, short


def test_only_hooks_touches_diffusers_hook_internals():
    users = {m for m in MODULES if any(i.startswith("diffusers.hooks") for i in imports(m))}
    assert users == {"bwcache.cache.install"}


def test_public_names():
    assert bwcache.__all__ == sorted(bwcache.__all__)
    for name in bwcache.__all__:
        assert getattr(bwcache, name).__doc__, name


def test_predicting_loads_no_torch():
    program = (
        "import sys; from bwcache.cli import main\n"
        "main(['predict', 'nowhere.json', '--threshold', '0.1'])\n"
        "heavy = {'torch', 'numpy', 'diffusers', 'gradio'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=PACKAGE.parent)


def test_no_module_is_long():
    lengths = {n: len(p.read_text(encoding="utf-8").splitlines()) for n, p in MODULES.items()}
    assert not {name: n for name, n in lengths.items() if n > 250}

"""Nothing that the package does needs one operating system: Windows and macOS run it, too."""

import ast
import subprocess
import sys

import pytest

from ..environments import ROOT

# modules of the standard library that are documented for Unix alone
POSIX_ONLY = {
    "crypt",
    "curses",
    "fcntl",
    "grp",
    "nis",
    "ossaudiodev",
    "posix",
    "pty",
    "pwd",
    "readline",
    "resource",
    "spwd",
    "syslog",
    "termios",
    "tty",
}


def test_no_module_is_imported_that_windows_lacks():
    found = []
    for path in [ROOT / "app.py", *(ROOT / "bwcache").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            if POSIX_ONLY & {name.split(".")[0] for name in names}:
                found.append(f"{path.relative_to(ROOT)}:{node.lineno} imports {', '.join(names)}")
    assert not found


@pytest.mark.slow
@pytest.mark.parametrize("platform", ["win32", "darwin"])
def test_every_name_that_a_module_is_asked_for_is_there(platform, tmp_path):
    """The standard library's stubs know what each system has, and heed `if sys.platform`."""
    options = ["--config-file=", "--platform", platform, "--cache-dir", str(tmp_path)]
    options += ["--follow-imports=skip", "--ignore-missing-imports", "--check-untyped-defs"]
    command = [sys.executable, "-m", "mypy", *options, "bwcache", "app.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert "checked" in done.stdout.splitlines()[-1], done.stdout + done.stderr
    lacking = [line for line in done.stdout.splitlines() if "Module has no attribute" in line]
    assert not lacking

"""Known holes of the installed packages, by pip-audit, where the index has data of them.

python -m tests.audit        (needs `pip install pip-audit`; exit status 1 where a hole is known)
"""

from __future__ import annotations

import json
import subprocess
import sys

COMMAND = (sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off")


def main() -> int:
    """Say what is known, and of how many packages nothing is."""
    try:
        done = subprocess.run(COMMAND, capture_output=True, text=True, timeout=300, check=False)
        found = json.loads(done.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError, KeyError):
        print("audit: not made; pip-audit is missing, or its source cannot be reached from here")
        return 0
    known = [each for each in found if "skip_reason" not in each]
    print(f"audit: data of {len(known)} of {len(found)} packages is offered by the index")
    holes = [(each, hole) for each in known for hole in each["vulns"]]
    for each, hole in holes:
        fixed = ", ".join(hole["fix_versions"]) or "none yet"
        print(f"{each['name']} {each['version']}: {hole['id']}, mended in {fixed}")
    return 1 if holes else 0


if __name__ == "__main__":
    sys.exit(main())

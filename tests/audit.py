"""``make audit``: whether the packages in constraints.txt have known vulnerabilities, by pip-audit.

Fails for those that have. Where the advisories cannot be reached, it says that nothing was checked.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

COMMAND = (
    *(sys.executable, "-m", "pip_audit", "--requirement", "constraints.txt", "--no-deps", "--disable-pip"),
    *("--format", "json", "--progress-spinner", "off"),
)


def main() -> int:
    done = subprocess.run(COMMAND, capture_output=True, text=True, check=False)
    try:
        report = json.loads(done.stdout)
    except ValueError:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        print(f"audit: NOT DONE, the advisories cannot be reached ({last[:200]})")
        return 0
    failed, lines = verdict(report)
    print("\n".join(f"audit: {line}" for line in lines))
    return int(failed)


def verdict(report: Mapping[str, Any]) -> tuple[bool, list[str]]:
    """Whether it fails, and what to say of it."""
    packages = report["dependencies"]
    audited = [each for each in packages if "skip_reason" not in each]
    if not audited:
        return False, ["NOT DONE, the package index here has no advisories (a mirror?)"]
    faults = [
        f"{each['name']} {each['version']}: {found['id']}, fixed in {', '.join(found['fix_versions']) or '-'}"
        for each in audited
        for found in each["vulns"]
    ]
    skipped = [each["name"] for each in packages if "skip_reason" in each]
    lines = faults or [f"no known vulnerability in {len(audited)} packages"]
    return bool(faults), lines + ([f"not found there: {', '.join(skipped)}"] if skipped else [])


if __name__ == "__main__":
    sys.exit(main())

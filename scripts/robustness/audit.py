"""Compare the installed packages with the pins, and look for known vulnerabilities.

    python -m scripts.robustness.audit [--tools DIR] [--offline]

The comparison needs no network: every pin is exact, every installed package has its pinned version,
and none contradicts another's requirements (pip check). Vulnerabilities are looked up in the
database of PyPI with pip-audit, if it is installed and the database answers; otherwise the script
says that it could not look. Exit code 1 for a different version, a contradiction or a known
vulnerability.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

from scripts import ROOT

PINS = ROOT / "requirements" / "constraints.txt"


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(text: str) -> dict[str, str]:
    """Read versions by package name; ValueError for a line that is not an exact pin."""
    found = {}
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        match = re.fullmatch(r"([A-Za-z0-9._-]+)==([0-9][A-Za-z0-9.+!]*)", line.strip())
        if match is None:
            raise ValueError(f"{PINS.name} holds {line!r}: expected NAME==VERSION; fix the line")
        found[canonical(match[1])] = match[2]
    return found


def differences(wanted: dict[str, str], installed: dict[str, str]) -> list[str]:
    """List pinned packages that are installed in another version."""
    return [
        f"{name} {installed[name]} is installed where {version} is pinned"
        for name, version in sorted(wanted.items())
        # A local build (2.4.1+cpu) counts as the pinned version.
        if installed.get(name, version).split("+")[0] != version.split("+")[0]
    ]


def known_vulnerabilities(tools: Path | None) -> list[str] | None:
    """Return what pip-audit, installed here or in ``tools``, finds; None if it cannot look."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(PINS), "--no-deps"]
    command += ["--disable-pip", "--format", "json", "--timeout", "20"]
    environment = {**os.environ, **({"PYTHONPATH": str(tools)} if tools else {})}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    try:
        found = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        return None
    return [
        f"{package['name']} {package.get('version')}: {problem['id']}"
        for package in found
        for problem in package.get("vulns", [])
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tools", type=Path, help="folder that pip-audit is installed in")
    parser.add_argument(
        "--offline", action="store_true", help="compare versions only, without the network"
    )
    args = parser.parse_args()
    wanted = pins(PINS.read_text())
    installed = {canonical(d.metadata["Name"]): d.version for d in distributions()}
    problems = differences(wanted, installed)
    check = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True)
    if check.returncode:
        problems += check.stdout.splitlines()
    print(f"{len(wanted)} pins, {len(wanted.keys() & installed.keys())} of them installed")
    found = None if args.offline else known_vulnerabilities(args.tools)
    if found is None:
        print(
            "known vulnerabilities: not looked up (no pip-audit, or its database cannot be asked)"
        )
    else:
        print(f"known vulnerabilities: {len(found)}")
        problems += found
    print("\n".join(problems) or "no problem found")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()

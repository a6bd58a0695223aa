"""How long ``esml serve`` takes to answer, and how far its drafts are from relaxed spectra.

    python -m scripts.speed.server [SMILES ...]

Starts a server of its own on a free port. The draft of a molecule is what the page shows while one
draws; GFN2-xTB then replaces its geometry. The last columns are the brightest state of the draft
and of the relaxed geometry.
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

MOLECULES = (
    "O=[N+]([O-])c1ccc(N)cc1",
    "c1ccc(cc1)/N=N/c1ccccc1",
    "CN(C)c1ccc(cc1)/N=N/c1ccccc1",
    "c1ccccc1-c1ccccc1",
)
PATIENCE = 120.0
"""Seconds that a server may take to start."""


def ask(url: str, path: str, question: dict[str, Any] | None = None) -> Any:
    """The answer of the server at ``url``; raises URLError where it does not answer."""
    body = None if question is None else json.dumps(question).encode()
    request = urllib.request.Request(
        f"{url}/api/v1/{path}", data=body, headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=300) as answer:
        return json.load(answer)


@contextmanager
def server() -> Iterator[str]:
    """The address of a running server, which is stopped afterwards."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "esml", "serve", "--port", str(port), "--folder", folder]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            begun = time.monotonic()
            while True:
                try:
                    ask(url, "about")
                    break
                except urllib.error.URLError:
                    if process.poll() is not None or time.monotonic() - begun > PATIENCE:
                        raise
                    time.sleep(0.05)
            yield url
        finally:
            process.terminate()
            process.wait()


def brightest(answer: dict[str, Any]) -> float:
    """Energy (eV) of the state with the largest oscillator strength among the first five."""
    state = max(answer["states"][:5], key=lambda state: float(state["f"]))
    return float(state["energy_eV"])


def measure(url: str, smiles: str) -> tuple[list[float], list[float]]:
    """Seconds to the draft, to the same draft again, to the relaxed spectrum; brightest states."""
    seconds, energies = [], []
    for geometry in ("draft", "draft", "xtb"):
        begun = time.perf_counter()
        answer = ask(url, "predict", {"smiles": smiles, "geometry": geometry})
        seconds.append(time.perf_counter() - begun)
        energies.append(brightest(answer))
    return seconds, energies[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("molecules", nargs="*", default=MOLECULES, help="SMILES")
    options = parser.parse_args()
    names = ("draft (s)", "again (s)", "relaxed (s)", "draft (eV)", "relaxed (eV)")
    print(f"{'':<32}" + "".join(f"{name:>14}" for name in names))
    with server() as url:
        for smiles in options.molecules:
            seconds, energies = measure(url, smiles)
            cells = [f"{x:>14.3f}" for x in seconds] + [f"{x:>14.2f}" for x in energies]
            print(f"{smiles:<32}" + "".join(cells))


if __name__ == "__main__":
    main()

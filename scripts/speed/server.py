"""How long ``esml serve`` takes to answer: draft and relaxed spectra, first and later ones.

    python -m scripts.speed.server [SMILES ...]

Starts a server of its own on a free port. The draft of a molecule is what the page shows while one
draws; GFN2-xTB then replaces its geometry.
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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

MOLECULES = ("O=[N+]([O-])c1ccc(N)cc1", "c1ccc(cc1)/N=N/c1ccccc1", "CN(C)c1ccc(cc1)C=O")
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


def measure(url: str, molecules: Sequence[str]) -> list[tuple[str, float, float, float]]:
    """Per molecule: seconds to its draft, to the same draft again, to its relaxed spectrum."""
    rows = []
    for smiles in molecules:
        seconds = []
        for geometry in ("draft", "draft", "xtb"):
            begun = time.perf_counter()
            ask(url, "predict", {"smiles": smiles, "geometry": geometry})
            seconds.append(time.perf_counter() - begun)
        rows.append((smiles, seconds[0], seconds[1], seconds[2]))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("molecules", nargs="*", default=MOLECULES, help="SMILES")
    options = parser.parse_args()
    print(f"{'':<28}{'draft':>9}{'again':>9}{'relaxed':>9}   s")
    with server() as url:
        for smiles, *seconds in measure(url, options.molecules):
            print(f"{smiles:<28}" + "".join(f"{s:>9.3f}" for s in seconds))


if __name__ == "__main__":
    main()

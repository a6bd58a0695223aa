"""Response time of ``esml serve``, and deviations of its drafts from relaxed spectra.

    python -m scripts.speed.server [SMILES ...]

Starts a server of its own on a free port. The draft of a molecule is what the page shows while one
draws; GFN2-xTB then replaces its geometry. The last columns are the brightest state of the draft
and of the relaxed geometry.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

from scripts.serving import Server, served

MOLECULES = (
    "O=[N+]([O-])c1ccc(N)cc1",
    "c1ccc(cc1)/N=N/c1ccccc1",
    "CN(C)c1ccc(cc1)/N=N/c1ccccc1",
    "c1ccccc1-c1ccccc1",
)


def brightest(answer: dict[str, Any]) -> float:
    """Return the energy (eV) of the state of largest oscillator strength among the first five."""
    state = max(answer["states"][:5], key=lambda state: float(state["f"]))
    return float(state["energy_eV"])


def measure(server: Server, smiles: str) -> tuple[list[float], list[float]]:
    """Time the draft, the same draft again and the relaxed spectrum (s); add brightest states."""
    seconds, energies = [], []
    for geometry in ("draft", "draft", "xtb"):
        begun = time.perf_counter()
        answer = server.ask("predict", {"smiles": smiles, "geometry": geometry})
        seconds.append(time.perf_counter() - begun)
        energies.append(brightest(answer))
    return seconds, energies[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("molecules", nargs="*", default=MOLECULES, help="SMILES of the molecules")
    options = parser.parse_args()
    names = ("draft (s)", "again (s)", "relaxed (s)", "draft (eV)", "relaxed (eV)")
    print(f"{'':<32}" + "".join(f"{name:>14}" for name in names))
    with served() as server:
        for smiles in options.molecules:
            seconds, energies = measure(server, smiles)
            cells = [f"{x:>14.3f}" for x in seconds] + [f"{x:>14.2f}" for x in energies]
            print(f"{smiles:<32}" + "".join(cells))


if __name__ == "__main__":
    main()

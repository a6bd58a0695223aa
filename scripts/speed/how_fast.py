"""Speed of predictions, compared with TDDFT and with similar programs.

    python -m scripts.speed.how_fast profile peers startup stream sizes beside largest \\
        --json docs/speed.json
    python -m scripts.speed.how_fast crossover
    python -m scripts.speed.how_fast gpu
    python -m scripts.speed.how_fast plot --json docs/speed.json --picture docs/figures/speed.png

The parts write into one JSON file, so you can rerun each of them separately. All but ``largest``
run on one core. Times are seconds of processor time, because their ratios are reliable on a busy
machine, too; wall times are given beside them. Sizes are measured with one triplet, which a
spectrum needs to check that the closed shell is the ground state. Every size runs in a process of
its own, whose peak memory is that of the prediction.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scripts.speed.growth import SIZES, beside, exponents, largest, sizes
from scripts.speed.picture import plot
from scripts.speed.programs import peers, startup, stream, tddft
from scripts.speed.stages import crossover, gpu, profile


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = "sizes, beside, largest, profile, peers, startup, stream, tddft, crossover, gpu, plot"
    parser.add_argument("parts", nargs="+", metavar="PART", help=parts)
    parser.add_argument("--json", type=Path, help="file to add the results to")
    parser.add_argument("--picture", type=Path, default=Path("speed.png"))
    parser.add_argument(
        "--smallest", type=int, default=0, help="smallest molecule of the command sizes, atoms"
    )
    parser.add_argument(
        "--largest",
        type=int,
        default=max(SIZES) // 2,
        help="largest molecule of the command sizes, atoms",
    )
    parser.add_argument("--labels", type=int, default=10, help="number of PySCF labels to compute")
    parser.add_argument(
        "--molecules", type=int, default=10_000, help="number of molecules in the stream"
    )
    options = parser.parse_args()
    results: dict[str, Any] = {}
    if options.json and options.json.exists():
        results = json.loads(options.json.read_text())
    runs: dict[str, Callable[[], Any]] = {
        "sizes": lambda: sizes(
            options.smallest, options.largest, results.get("sizes", {}).get("molecules", [])
        ),
        "beside": beside,
        "largest": largest,
        "profile": profile,
        "peers": lambda: peers(options.labels),
        "tddft": tddft,
        "startup": startup,
        "stream": lambda: stream(options.molecules),
        "crossover": crossover,
        "gpu": gpu,
    }
    for part in options.parts:
        if part == "plot":
            plot(results, options.picture)
            continue
        results[part] = runs[part]()
        results["machine"] = f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"
        if {"sizes", "largest"} <= results.keys():
            rows = [*results["sizes"]["molecules"], *results["largest"].values()]
            results["exponents"] = exponents([r for r in rows if "cpu_s" in r])
        if options.json:
            options.json.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
        else:
            print(json.dumps(results[part], indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()

"""``esml doctor``: list what is installed, what is missing, and how to install it."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from esml import __version__

EXTRAS = {
    "plot": ("pictures", ("matplotlib", "scikit-image")),
    "report": ("formulas and names of groups on pages", ("rdkit",)),
    "smiles": ("SMILES and drawings", ("rdkit", "tblite")),
    "serve": ("a page and a REST interface", ("fastapi", "uvicorn", "rdkit", "tblite")),
    "tools": ("tools for assistants", ("mcp", "rdkit", "tblite")),
    "tables": ("Parquet tables, pandas", ("pandas", "pyarrow")),
    "chemiscope": ("maps of sets", ("chemiscope",)),
    "cclib": ("outputs of other programs", ("cclib",)),
    "cluster": ("predict --dask", ("dask",)),
    "reference": ("reference data, SCF guesses", ("dask", "pyscf", "rdkit", "tblite")),
    "tensorboard": ("curves of a training run", ("tensorboard",)),
}
"""Purpose of each extra, and the packages it installs."""


def doctor(
    model: Annotated[
        str | None, typer.Option("--model", help="Model to try; the shipped one if left out.")
    ] = None,
) -> None:
    """Say what is installed and what is missing, one line each; exit code 1 if esml cannot work."""
    typer.echo(f"ok       esml {__version__}, Python {platform.python_version()}")
    for line in _torch_lines():
        typer.echo(line)
    for name, (purpose, packages) in EXTRAS.items():
        found = {package: _version(package) for package in packages}
        missing = [package for package, there in found.items() if there is None]
        if missing:
            what = f"missing  {purpose}: {', '.join(missing)}"
            typer.echo(f'{what}; pip install "esml[{name}]"')
        else:
            there = ", ".join(f"{package} {v}" for package, v in found.items())
            typer.echo(f"ok       {purpose}: {there}")
    line, works = _trial(model)
    typer.echo(line)
    if not works:
        raise typer.Exit(1)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _torch_lines() -> list[str]:
    import torch

    lines = [f"ok       PyTorch {torch.__version__}, {torch.get_num_threads()} threads"]
    if torch.cuda.is_available():
        lines.append(f"ok       GPU: {torch.cuda.get_device_name()} (--device cuda)")
    elif torch.version.cuda:
        lines.append(
            "note     PyTorch is built for CUDA, but finds no GPU; the CPU build is a tenth of its "
            "size: pip install torch --index-url https://download.pytorch.org/whl/cpu"
        )
    else:
        lines.append("note     no GPU is used: this is the CPU build of PyTorch")
    return lines


def _trial(model: str | None) -> tuple[str, bool]:
    """Predict formaldehyde; report S1, the time it took, and whether it worked."""
    from time import perf_counter

    from ase.build import molecule

    from esml.predict.model_files import load_model

    try:
        surrogate = load_model(model)
        surrogate.predict(molecule("H2CO"), n_states=3)
        began = perf_counter()
        result = surrogate.predict(molecule("H2CO"), n_states=3)
    # Report any error: finding what is wrong with an installation is the purpose.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        return f"broken   a prediction of formaldehyde: {reason}", False
    milliseconds = 1e3 * (perf_counter() - began)
    energy = result.singlets.energies[0]
    name = surrogate.metadata.get("name", "")
    return (
        f"ok       model '{name}': S1 of formaldehyde {energy:.2f} eV in {milliseconds:.0f} ms",
        True,
    )

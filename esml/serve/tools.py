"""Tools of the model context protocol, with the same functions as the page.

esml serve --tools        # speaks the protocol on standard input and output
"""

from __future__ import annotations

from typing import Any, Literal

from esml import __version__
from esml.serve.limits import RefusedError
from esml.serve.service import Question, Service


def create_tools(service: Service) -> Any:
    """Create a server of the protocol with the tools ``predict`` and ``models``.

    Raises
    ------
    ImportError
        If the package mcp is not installed.
    """
    try:
        from mcp.server import MCPServer
    except ImportError as error:
        raise ImportError('the tools need the package mcp: pip install "esml[tools]"') from error
    server = MCPServer(
        "esml",
        version=__version__,
        instructions="Excited states and UV/vis spectra of organic molecules, in vacuum or in a "
        "solvent, from a learned minimal-basis Hamiltonian. Mention the medium, the uncertainties "
        "and the warnings.",
    )

    @server.tool()
    def predict(
        smiles: str = "",
        content: str = "",
        name: str = "",
        n_states: int = 10,
        geometry: Literal["draft", "mmff", "xtb"] = "xtb",
        model: str = "default",
        solvent: str = "vacuum",
    ) -> dict[str, Any]:
        """Excited states of one molecule: energies, wavelengths, strengths, uncertainties, what
        each state is. Give a SMILES, or the content and the name (molecule.xyz) of a geometry file.
        """
        question = Question(
            smiles=smiles,
            content=content,
            name=name,
            n_states=n_states,
            geometry=geometry,
            model=model,
            solvent=solvent,
        )
        try:
            answer = service.answer(question)
        except RefusedError as refusal:
            return {"error": str(refusal)}
        # Leave out the curve, which only drawing programs need.
        return {key: value for key, value in answer.items() if key != "spectrum"}

    @server.tool()
    def models() -> list[str]:
        """Names of the available models."""
        return list(service.models)

    return server

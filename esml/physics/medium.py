"""What surrounds the molecules of a batch: a solvent for each, point charges, or nothing.

Shape letters: M molecules, K the most atoms of one molecule. Energies in eV, lengths in Å.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from esml.physics.basis import OrbitalLayout
from esml.physics.solvent import Solvent, born_radii, cavity_radii, reaction_field


@dataclass(frozen=True)
class ReactionField:
    """The solvent's potential on an atom for a unit charge on another, (M, K, K) eV."""

    static: Tensor  # the solvent has come to rest
    optical: Tensor  # only its electrons follow


@dataclass(frozen=True)
class Medium:
    """The surroundings of each molecule of a batch."""

    solvents: tuple[Solvent | None, ...]  # None: vacuum

    @classmethod
    def of(cls, solvents: Sequence[Solvent | None]) -> Medium | None:
        """The medium of molecules in ``solvents``; None where all are in vacuum."""
        return cls(tuple(solvents)) if any(s is not None for s in solvents) else None

    def reaction_field(self, separation: Tensor, layout: OrbitalLayout) -> ReactionField:
        """The reaction field of atoms at distances ``separation`` (M, K, K), Å."""
        numbers = layout.pad_atoms(layout.numbers)
        radii = cavity_radii(numbers).to(separation)
        effective = born_radii(separation, radii, layout.atom_mask)
        static = [1.0 if s is None else s.epsilon for s in self.solvents]
        optical = [1.0 if s is None else s.optical for s in self.solvents]
        return ReactionField(
            *(
                reaction_field(
                    separation, effective, layout.atom_mask, separation.new_tensor(values)
                )
                for values in (static, optical)
            )
        )

"""A solvent as a dielectric continuum: the reaction field of atomic charges.

A charge on atom B polarizes the solvent, and the solvent's potential on atom A is G_AB per charge,

    G_AB(ε) = −(1 − 1/ε) C [1/f_AB + (α/ε)/h_AB] / (1 + α/ε) ,   C = e²/4πε₀ ,
    f_AB = √(R_AB² + a_A a_B exp(−R_AB² / 4 a_A a_B)) ,   h_AB = √(R_AB² + s_A s_B) .

f is that of the generalized Born model, and a_A the effective Born radius of atom A: the radius of
the sphere in which its charge alone would gain the same energy. f alone (α = 0) gives the response
of a conductor times 1 − 1/ε for every charge distribution. That is right for a single charge, but a
solvent of small ε responds less to dipoles and higher multipoles. h, in which s_A is the mean f
between A and the atoms around it (the size of the cavity), hardly responds to these, and the
mixture of f and h is right for both. A lone ion of radius a gains the Born energy ½ q² G_AA =
−(1 − 1/ε) C q² / 2a; distant charges interact with C q_A q_B / ε R; at ε = 1 everything is zero.

G needs no new solver: it is one more matrix between atomic charges. The ground state feels G(ε) of
the static permittivity ε, because nuclei and molecules of the solvent have had time to reorient. In
the response, G(n²) acts between transition charges, because only the electrons of the solvent
follow light (n: refractive index). Exchange is not screened, and neither are triplets, whose
transition charges are zero.

Effective radii follow from the cavity, the union of spheres of radius ρ around all atoms:

    a_A = ρ_A exp(ρ_A³ I_A / 3) ,   I_A = (3/4π) ∫_{in the cavity, r > ρ_A} d³r / r⁶ .

To first order in I this is 1/a³ = 1/ρ³ − I, exact for any charge in a spherical cavity. The
integral is a sum over the spheres of the other atoms, shrunk by ``DESCREENING`` because neighbours
overlap; the exponential corrects for what overlap remains. ρ, the only parameter that affects a
spectrum, has the value of usual continuum models (1.2 van der Waals radii). ``DESCREENING`` and α
are fitted to the response of such models to atomic charges: energies of random charges agree with
IEF-PCM within 3 % (5 % for ε below 3) on average over 58 molecules
(``scripts.accuracy.reaction_field``).

**Hydrogen bonds.** Molecules with O–H come nearer to an oxygen than a dielectric would. As in SMD,
the sphere of oxygen shrinks with Abraham's hydrogen-bond acidity A of the solvent:

    ρ_O = min[1.2 · 1.52 Å, 1.52 Å + 1.8 Å (0.43 − A)] , at least 1.52 Å ,

so that solvents with A below 0.26 are not concerned. SMD's numbers were fitted to free energies of
solvation of ions and molecules, not to spectra.

Sources: generalized Born: Still et al., J. Am. Chem. Soc. 112, 6127 (1990); the r⁻⁶ integral:
Grycuk, J. Chem. Phys. 119, 4817 (2003); pairwise sums: Hawkins, Cramer, Truhlar, Chem. Phys. Lett.
246, 122 (1995); α: Sigalov, Fenley, Onufriev, J. Chem. Phys. 124, 124902 (2006); radii of atoms:
Mantina et al., J. Phys. Chem. A 113, 5806 (2009); SMD: Marenich, Cramer, Truhlar, J. Phys. Chem. B
113, 6378 (2009).

Shape letters: M molecules, K the most atoms of one molecule. Energies in eV, lengths in Å.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from esml.units import COULOMB

HIGHEST_INDEX = 2.5
"""Largest refractive index n of a solvent; diiodomethane, among the highest liquids, has 1.74."""

BELOW = 0.3
"""How far n² may exceed ε. Both are measured, at different temperatures and wavelengths, so that
n² of nonpolar solvents can lie slightly above ε."""

MOST_ACIDIC = 1.5
"""Largest hydrogen-bond acidity of a solvent; hexafluoro-2-propanol, an extreme one, has 0.77, and
water 0.82."""


@dataclass(frozen=True)
class Solvent:
    """A solvent, given by its static permittivity ε and its refractive index n.

    Raises
    ------
    ValueError
        If ε or n is below 1, n or the acidity impossible for a liquid, n² clearly above ε, or one
        of them not a number.
    """

    epsilon: float  # static permittivity, relative to vacuum
    refractive_index: float  # n; n² is the permittivity that screens an excitation
    name: str = ""  # name in tables and files
    acidity: float = 0.0
    """Abraham's hydrogen-bond acidity: 0.82 for water, 0.37 for ethanol, 0 without O–H or N–H."""

    def __post_init__(self) -> None:
        for what, value in (
            ("epsilon", self.epsilon),
            ("refractive_index", self.refractive_index),
        ):
            if not value >= 1.0:
                raise ValueError(
                    f"{what} of a solvent is {value}: expected a number of at least 1, the value "
                    "of vacuum; give the solvent's own"
                )
        if not self.refractive_index <= HIGHEST_INDEX:
            raise ValueError(
                f"refractive_index of a solvent is {self.refractive_index:g}: expected at most "
                f"{HIGHEST_INDEX:g}; give epsilon first, then the refractive index, with decimal "
                "points, such as 24.3,1.36"
            )
        if not self.optical <= self.epsilon + BELOW:
            raise ValueError(
                f"refractive_index {self.refractive_index:g} of a solvent has a square above its "
                f"epsilon {self.epsilon:g}: expected epsilon of at least about that square; give "
                "epsilon first, then the refractive index, such as 24.3,1.36"
            )
        if not 0.0 <= self.acidity <= MOST_ACIDIC:
            raise ValueError(
                f"acidity of a solvent is {self.acidity:g}: expected Abraham's hydrogen-bond "
                f"acidity, from 0 to {MOST_ACIDIC:g}; give it with a decimal point, or leave it "
                "out for a solvent without O–H and N–H"
            )

    @property
    def optical(self) -> float:
        """n², the permittivity at the frequency of light."""
        return self.refractive_index**2

    @property
    def label(self) -> str:
        """The name, or ``"ε,n"`` or ``"ε,n,A"``, which ``find_solvent`` understands."""
        acidity = f",{self.acidity:g}" if self.acidity else ""
        return self.name or f"{self.epsilon:g},{self.refractive_index:g}{acidity}"

    def __str__(self) -> str:
        numbers = f"ε {self.epsilon:g}, n {self.refractive_index:g}"
        if self.acidity:
            numbers += f", acidity {self.acidity:g}"
        return f"{self.name} ({numbers})" if self.name else numbers


_RADII = {1: 1.10, 5: 1.92, 6: 1.70, 7: 1.55, 8: 1.52, 9: 1.47}
_RADII |= {14: 2.10, 15: 1.80, 16: 1.80, 17: 1.75, 34: 1.90, 35: 1.83, 53: 1.98}
SCALE = 1.2
"""Radius of a cavity's spheres as a multiple of the van der Waals radius, as usual for continua."""

OXYGEN, DONORS, PER_ACIDITY = 1.52, 0.43, 1.8
"""SMD's sphere of oxygen: its smallest radius (Å), the acidity from which on it has this radius,
and how much larger (Å) it is for an acidity lower by 1."""

DESCREENING = 0.814
"""Radius of the spheres of other atoms in the pairwise sum, as a multiple of ρ."""

MULTIPOLE = 0.9
"""α: how much less a solvent of small ε responds to dipoles than a scaled conductor does."""

REACH = 6.0
"""Å; atoms closer than about this share one cavity."""

FAR = 10.0
"""Å; placeholder distance for pairs without an atom."""


def cavity_radii(numbers: Tensor, acidity: Tensor | float = 0.0) -> Tensor:
    """Return the radii ρ of the spheres around atoms, in double precision.

    Parameters
    ----------
    numbers:
        (M, K) atomic numbers.
    acidity:
        (M,) hydrogen-bond acidity A of each molecule's solvent, or one for all.

    Returns
    -------
    (M, K) Å.
    """
    table = torch.full((119,), SCALE * 2.0, dtype=torch.float64, device=numbers.device)
    for number, radius in _RADII.items():
        table[number] = SCALE * radius
    radii = table[numbers]
    given = torch.as_tensor(acidity, dtype=radii.dtype, device=radii.device).reshape(-1, 1)
    oxygen = OXYGEN + PER_ACIDITY * (DONORS - given).clamp(min=0.0)
    return torch.where(numbers == 8, torch.minimum(radii, oxygen), radii)


def born_radii(separation: Tensor, radii: Tensor, mask: Tensor) -> Tensor:
    """Return the effective Born radii.

    Parameters
    ----------
    separation:
        (M, K, K) distances of atoms, Å.
    radii:
        (M, K) radii ρ of their spheres, Å.
    mask:
        (M, K) True where there is an atom.

    Returns
    -------
    (M, K) Å; equal to ``radii`` in padding.
    """
    own = radii[:, :, None]
    other = DESCREENING * radii[:, None, :]
    pair = mask[:, :, None] & mask[:, None, :] & (separation > 0)
    apart = torch.where(pair, separation, FAR)
    # Seen from this atom, the other sphere extends from L to U; the part within ρ does not count.
    upper = apart + other
    outside = pair & (upper > own)
    upper = torch.where(outside, upper, FAR)
    lower = torch.where(outside, torch.maximum(own, (apart - other).abs()), FAR)
    integral = 1.5 * (_cap(upper, apart, other) - _cap(lower, apart, other))
    around = torch.where(other - apart > own, lower, own)  # L if the other sphere encloses ρ
    integral = integral + own.pow(-3) - around.pow(-3)
    total = torch.where(outside, integral, 0.0).sum(2)
    return radii * torch.exp(total * radii.pow(3) / 3.0)


def _cap(r: Tensor, apart: Tensor, other: Tensor) -> Tensor:
    """Return the indefinite integral of r⁻⁶ over a sphere's part at radius r, divided by 2π.

    A shell of radius r around one atom has the area 2πr² [1 − (r² + R² − S²)/2rR] inside a sphere
    of radius S = ``other`` at distance R = ``apart``.
    """
    return (
        -1.0 / (3.0 * r**3)
        + 1.0 / (4.0 * apart * r**2)
        + ((apart**2 - other**2) / (8.0 * apart * r**4))
    )


def reaction_field(
    separation: Tensor, effective: Tensor, mask: Tensor, permittivity: Tensor
) -> Tensor:
    """Return G (M, K, K), eV: the solvent's potential on an atom for a unit charge on another.

    Parameters
    ----------
    separation:
        (M, K, K) distances of atoms, Å.
    effective:
        (M, K) effective Born radii, Å.
    mask:
        (M, K) True where there is an atom.
    permittivity:
        (M,) permittivity of each molecule's solvent.
    """
    product = effective[:, :, None] * effective[:, None, :]
    square = separation**2
    inverse = (square + product * torch.exp(-square / (4.0 * product))).rsqrt()
    near = torch.exp(-((square / REACH**2) ** 2)) * mask[:, None, :]
    size = near.sum(2) / (near * inverse).sum(2)
    blurred = (square + size[:, :, None] * size[:, None, :]).rsqrt()
    share = (MULTIPOLE / permittivity)[:, None, None]
    factor = ((1.0 - 1.0 / permittivity) * COULOMB)[:, None, None]
    return -factor * (inverse + share * blurred) / (1.0 + share)

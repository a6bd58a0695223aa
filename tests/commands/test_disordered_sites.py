"""Files with shared or partly empty sites: refused, since one whole atom would stand for them."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_cli import refusal, run

from esml.io.structures import InputError, read_structure

CIF = """data_x
_cell_length_a {size}
_cell_length_b {size}
_cell_length_c {size}
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M '{group}'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
{sites}
"""


def cif(path: Path, sites: str, size: float = 3.57, group: str = "F m -3 m") -> Path:
    path.write_text(CIF.format(size=size, group=group, sites=sites))
    return path


@pytest.mark.parametrize(
    ("sites", "said"),
    [
        ("Cu1 Cu 0 0 0 0.5\nNi1 Ni 0 0 0 0.5", "Cu 0.5 and Ni 0.5"),
        ("Cu1 Cu 0 0 0 0.8", "Cu 0.8"),
    ],
)
@pytest.mark.parametrize("command", ["dos", "bands"])
def test_a_disordered_crystal_is_refused(
    tmp_path: Path, command: str, sites: str, said: str
) -> None:
    sentence = refusal(run(command, cif(tmp_path / "a.cif", sites), "--k-points", "2,2,2"))
    assert f"site 0 holds {said} where one whole atom is expected" in sentence
    assert "supercell" in sentence


def test_a_disordered_molecule_is_refused(tmp_path: Path) -> None:
    sites = (
        "C1 C .5 .5 .5 1\nO1 O .5 .5 .6 .4\nS1 S .5 .5 .6 .6\nH1 H .6 .5 .45 1\nH2 H .4 .5 .45 1"
    )
    path = cif(tmp_path / "a.cif", sites, 12.0, "P 1")
    with pytest.raises(InputError, match=r"holds O 0\.4 and S 0\.6"):
        read_structure(path)


def test_whole_sites_are_no_disorder(tmp_path: Path) -> None:
    path = cif(tmp_path / "a.cif", "Cu1 Cu 0 0 0 1.0")
    assert len(read_structure(path).atoms) == 4

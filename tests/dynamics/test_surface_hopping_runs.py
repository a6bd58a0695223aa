"""Trajectories between surfaces: conserved energy, hops, restarts."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import molecule

import esml
from esml.dynamics import SurfaceHopping
from esml.io.surroundings import PointChargesError
from esml.predict.surrogate import Surrogate

pytest.importorskip("tblite")

from tblite.ase import TBLite


@pytest.fixture(scope="module")
def model() -> Surrogate:
    return esml.load_model()


@pytest.fixture
def moving() -> Atoms:
    """Furan with thermal velocities of 600 K."""
    atoms: Atoms = molecule("C4H4O")
    spread = np.sqrt(units.kB * 600.0 / atoms.get_masses())[:, None]
    atoms.set_velocities(np.random.default_rng(2).normal(size=(len(atoms), 3)) * spread)
    return atoms


def test_energy_is_conserved_and_restarts_are_exact(
    model: Surrogate, moving: Atoms, tmp_path: Path
) -> None:
    def start() -> SurfaceHopping:
        return SurfaceHopping(model, moving, active=1, n_states=3, seed=5)

    whole = start()
    first = whole.frame()
    frames = whole.run(10)
    drift = np.array([frame.total - first.total for frame in frames])
    assert np.abs(drift).max() < 1e-3 * len(moving)  # 1 meV for each atom
    moved = np.array([frame.potential for frame in frames])
    assert np.ptp(moved) > 0.05  # which is not for want of motion
    assert all(sum(frame.populations) == pytest.approx(1.0, abs=1e-9) for frame in frames)
    part = start()
    part.run(5)
    part.save(tmp_path / "a.json")
    again = SurfaceHopping.load(tmp_path / "a.json", model)
    rest = again.run(5)
    assert rest[-1].time == frames[-1].time
    assert again.frames[:5] == part.frames  # those before the save come along
    assert again.frames[5:] == rest
    np.testing.assert_allclose(again.atoms.positions, whole.atoms.positions, atol=1e-5)
    np.testing.assert_allclose(rest[-1].populations, frames[-1].populations, atol=1e-4)
    (tmp_path / "b.json").write_text("{}")
    with pytest.raises(ValueError, match="no trajectory that this version of esml reads"):
        SurfaceHopping.load(tmp_path / "b.json", model)


DOOMED = """
import os, signal, sys
import esml
from esml.dynamics import SurfaceHopping
from tblite.ase import TBLite

class Doomed(TBLite):
    left = 8  # geometries: the first and those of seven steps

    def calculate(self, *arguments, **options):
        self.left -= 1
        if self.left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        super().calculate(*arguments, **options)

start, save = sys.argv[1:]
ground = Doomed(method="GFN2-xTB", verbosity=0)
SurfaceHopping.load(start, esml.load_model(), ground).run(10, save=save, every=3)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_killed_trajectory_goes_on(model: Surrogate, moving: Atoms, tmp_path: Path) -> None:
    """Killed within the eighth step, it has six of them and ends where an unbroken one does."""
    start, kept = tmp_path / "start.json", tmp_path / "kept.json"
    whole = SurfaceHopping(model, moving, active=1, n_states=3, seed=5)
    whole.save(start)
    child = subprocess.run([sys.executable, "-c", DOOMED, str(start), str(kept)])
    assert child.returncode == -signal.SIGKILL
    again = SurfaceHopping.load(kept, model)
    assert again.steps == len(again.frames) == 6
    again.run(4)
    frames = whole.run(10)
    assert [frame.time for frame in again.frames] == [frame.time for frame in frames]
    for one, other in zip(again.frames, frames, strict=True):
        assert one.active == other.active
        assert one.potential == pytest.approx(other.potential, abs=1e-5)
        assert one.kinetic == pytest.approx(other.kinetic, abs=1e-5)
    with pytest.raises(ValueError, match="every is 0: expected at least 1 step"):
        again.run(1, save=kept, every=0)


@pytest.mark.parametrize(
    ("key", "around"),
    [
        ("solvent", esml.Solvent(78.3, 1.33, "water", 0.82)),
        ("point_charges", esml.PointCharges([0.8, -0.8], [[0.0, 0.0, 3.0], [0.0, 0.0, 6.0]])),
    ],
)
def test_surroundings_go_on(model: Surrogate, tmp_path: Path, key: str, around: Any) -> None:
    """The energy of a saved trajectory is that among its surroundings, which moves the state."""
    path = tmp_path / "a.json"
    alone = molecule("H2CO")
    surrounded = alone.copy()
    surrounded.info[key] = around
    ground = TBLite(method="GFN2-xTB", verbosity=0)  # it stands for one that includes charges
    hopping = SurfaceHopping(model, surrounded, ground=ground)
    hopping.save(path)
    potential = hopping.frame().potential
    assert abs(potential - SurfaceHopping(model, alone).frame().potential) > 0.05
    again = SurfaceHopping.load(path, model, ground)
    assert again.frame().potential == pytest.approx(potential, abs=1e-5)


def test_charges_need_a_ground_state_among_them(model: Surrogate) -> None:
    surrounded = molecule("H2CO")
    surrounded.info["point_charges"] = esml.PointCharges([0.8], [[0.0, 0.0, 4.0]])
    with pytest.raises(PointChargesError, match="which GFN2-xTB of tblite cannot include"):
        SurfaceHopping(model, surrounded)


def test_files_of_version_2_are_read(model: Surrogate, tmp_path: Path) -> None:
    """They have neither surroundings nor frames."""
    path = tmp_path / "a.json"
    hopping = SurfaceHopping(model, molecule("H2CO"))
    hopping.save(path)
    entry = json.loads(path.read_text(encoding="utf-8"))
    for key in ("solvent", "point_charges", "frames"):
        del entry[key]
    path.write_text(json.dumps(entry | {"format": "esml-surface-hopping-2"}), encoding="utf-8")
    again = SurfaceHopping.load(path, model)
    assert again.frames == []
    assert again.frame().potential == pytest.approx(hopping.frame().potential, abs=1e-5)


def test_steps_before_a_failure_are_kept(model: Surrogate, moving: Atoms) -> None:
    class Failing(TBLite):
        left = 3

        def calculate(self, *arguments: Any, **options: Any) -> None:
            self.left -= 1
            if self.left < 0:
                raise RuntimeError("no convergence")
            super().calculate(*arguments, **options)

    hopping = SurfaceHopping(model, moving, ground=Failing(method="GFN2-xTB", verbosity=0))
    with pytest.raises(RuntimeError, match="no convergence"):
        hopping.run(5)
    assert [frame.time for frame in hopping.frames] == [0.25, 0.5]


def test_a_hop_keeps_the_energy(model: Surrogate, moving: Atoms) -> None:
    hopping = SurfaceHopping(model, moving, active=1, n_states=2)
    before = hopping.frame()
    energies = hopping._couplings().energies
    hopping._hop(0, energies)
    after = hopping.frame()
    assert (before.active, after.active) == (1, 0)
    assert after.kinetic > before.kinetic
    assert after.total == pytest.approx(before.total, abs=1e-6)
    found = hopping._couplings()
    force = hopping.atoms.get_forces() + found.gradients[0]
    np.testing.assert_allclose(force, hopping.surface._forces, atol=1e-9)
    # Without motion there is no way up.
    hopping.atoms.set_velocities(np.zeros((len(moving), 3)))
    hopping._hop(1, energies)
    assert hopping.active == 0
    with pytest.raises(ValueError, match="active is 3: expected one of the 2 singlets"):
        SurfaceHopping(model, moving, active=3)


def test_couplings_are_followed(model: Surrogate, moving: Atoms) -> None:
    """With smooth signs τ changes little in a short step; that of random signs would jump."""
    hopping = SurfaceHopping(model, moving, active=1, n_states=3, timestep=0.05)
    hopping.atoms.get_potential_energy()
    found = []
    for _ in range(3):
        found.append(hopping._electrons()[1])
        hopping._dynamics.run(1)
    size = max(np.abs(tau).max() for tau in found)
    assert np.abs(np.diff(found, axis=0)).max() < 0.3 * size
    assert np.abs(found[0] + found[0].T).max() < 1e-9
    assert size > 0


@pytest.mark.parametrize("timestep", [-0.25, 0.0, float("nan")])
def test_time_goes_forward(timestep: float) -> None:
    with pytest.raises(ValueError, match=r"timestep is .* expected more than 0"):
        SurfaceHopping(None, molecule("H2CO"), timestep=timestep)  # type: ignore[arg-type]

"""Two-centre blocks against Slater and Koster's table, and their symmetries."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from esml.physics.crystals import INTEGRALS, RealSpaceHamiltonian, two_centre_blocks

GENERATOR = torch.Generator().manual_seed(5)


def random_directions(n: int) -> Tensor:
    vectors = torch.randn(n, 3, generator=GENERATOR, dtype=torch.float64)
    lengths: Tensor = vectors.norm(dim=1, keepdim=True)
    return vectors / lengths


def random_integrals(n: int) -> Tensor:
    return torch.randn(n, 10, generator=GENERATOR, dtype=torch.float64)


DIRECTIONS, FORWARD, BACKWARD = random_directions(6), random_integrals(6), random_integrals(6)


def test_the_table_of_slater_and_koster() -> None:
    """Entries of table I of Phys. Rev. 94, 1498, with direction cosines l, m, n."""
    block = two_centre_blocks(DIRECTIONS, FORWARD, FORWARD)
    l, m, n = DIRECTIONS.T
    v = dict(zip(INTEGRALS, FORWARD.T, strict=True))
    axial = n**2 - 0.5 * (l**2 + m**2)
    root = 3**0.5
    expected = {
        (0, 0): v["sss"],
        (0, 1): l * v["sps"],
        (1, 1): l**2 * v["pps"] + (1 - l**2) * v["ppp"],
        (1, 2): l * m * (v["pps"] - v["ppp"]),
        (0, 4): root * l * m * v["sds"],
        (0, 8): 0.5 * root * (l**2 - m**2) * v["sds"],
        (0, 6): axial * v["sds"],
        (1, 4): root * l**2 * m * v["pds"] + m * (1 - 2 * l**2) * v["pdp"],
        (1, 5): l * m * n * (root * v["pds"] - 2 * v["pdp"]),
        (3, 6): n * axial * v["pds"] + root * n * (l**2 + m**2) * v["pdp"],
        (4, 4): 3 * l**2 * m**2 * v["dds"]
        + (l**2 + m**2 - 4 * l**2 * m**2) * v["ddp"]
        + (n**2 + l**2 * m**2) * v["ddd"],
        (6, 6): axial**2 * v["dds"]
        + 3 * n**2 * (l**2 + m**2) * v["ddp"]
        + 0.75 * (l**2 + m**2) ** 2 * v["ddd"],
    }
    for (row, column), value in expected.items():
        torch.testing.assert_close(block[:, row, column], value, msg=f"{row} {column}")


def test_the_other_way_round_is_the_transpose() -> None:
    there = two_centre_blocks(DIRECTIONS, FORWARD, BACKWARD)
    back = two_centre_blocks(-DIRECTIONS, BACKWARD, FORWARD)
    torch.testing.assert_close(back, there.transpose(1, 2), rtol=0, atol=1e-14)


def test_p_to_d_is_not_d_to_p() -> None:
    block = two_centre_blocks(DIRECTIONS, FORWARD, BACKWARD)
    l, m, _ = DIRECTIONS.T
    torch.testing.assert_close(block[:, 0, 1], l * FORWARD[:, 1])
    torch.testing.assert_close(block[:, 1, 0], -l * BACKWARD[:, 1])
    torch.testing.assert_close(block[:, 4, 0], 3**0.5 * l * m * BACKWARD[:, 2])


def test_levels_of_a_cluster_do_not_turn_with_it() -> None:
    positions = torch.randn(4, 3, generator=GENERATOR, dtype=torch.float64)
    turn = torch.linalg.qr(torch.randn(3, 3, generator=GENERATOR, dtype=torch.float64))[0]
    pairs = [(i, j) for i in range(4) for j in range(4) if i != j]
    first, second = (torch.tensor(side) for side in zip(*pairs, strict=True))
    integrals = random_integrals(len(pairs))
    reverse = [pairs.index((j, i)) for i, j in pairs]

    def levels(at: Tensor) -> Tensor:
        vectors = at[second] - at[first]
        directions = vectors / vectors.norm(dim=1, keepdim=True)
        blocks = two_centre_blocks(directions, integrals, integrals[reverse])
        h = torch.zeros(4, 9, 4, 9, dtype=torch.float64)
        h[first, :, second] = blocks
        values: Tensor = torch.linalg.eigvalsh(h.reshape(36, 36))
        return values

    torch.testing.assert_close(levels(positions @ turn.T), levels(positions))


def test_p_bands_of_a_simple_cubic_crystal() -> None:
    """ε_x = 2 ppσ cos 2πk_x + 2 ppπ (cos 2πk_y + cos 2πk_z), and so on."""
    integrals = torch.zeros(3, 10, dtype=torch.float64)
    integrals[:, 3], integrals[:, 4] = 1.1, -0.3
    blocks = two_centre_blocks(torch.eye(3, dtype=torch.float64), integrals, integrals)
    images = torch.cat([torch.zeros(1, 3, dtype=torch.int64), torch.eye(3, dtype=torch.int64)])
    blocks = torch.cat([torch.zeros(1, 9, 9, dtype=torch.float64), blocks])[:, 1:4, 1:4]
    k = torch.rand(5, 3, generator=GENERATOR, dtype=torch.float64)
    waves = 2 * torch.cos(2 * np.pi * k)
    expected = 1.1 * waves - 0.3 * (waves.sum(1, keepdim=True) - waves)
    found = torch.linalg.eigvalsh(RealSpaceHamiltonian.from_half(images, blocks).at(k))
    torch.testing.assert_close(found, expected.sort(1).values)


@pytest.mark.parametrize("axis", range(3))
def test_along_an_axis_only_like_symmetries_meet(axis: int) -> None:
    """Between two atoms on an axis the block has as many elements as there are integrals."""
    direction = torch.eye(3, dtype=torch.float64)[axis : axis + 1]
    block = two_centre_blocks(direction, FORWARD[:1], BACKWARD[:1])[0]
    singular = torch.linalg.svdvals(block[4:, 4:])
    mean = 0.5 * (FORWARD[0] + BACKWARD[0])[7:].abs()
    expected = torch.stack([mean[0], mean[1], mean[1], mean[2], mean[2]]).sort(descending=True)
    torch.testing.assert_close(singular, expected.values)

"""The order of solvents that ``scripts.accuracy.solvatochromism`` counts."""

import math

from scripts.accuracy.solvatochromism import SCATTER, DyeShifts, orders, pairs

SOLVENTS = ("cyclohexane", "acetone", "acetonitrile", "ethanol")


def shifts(measured: list[float], linear: list[float], maxima: list[float]) -> list[DyeShifts]:
    rows = zip(SOLVENTS, measured, linear, maxima, strict=True)
    return [DyeShifts(name, truth, ours, -ours, last) for name, truth, ours, last in rows]


def test_every_pair_in_order_and_every_pair_reversed() -> None:
    rows = shifts([0.0, -0.1, -0.2, -0.3], [0.0, -0.3, -0.4, -0.5], [0.0, -0.2, -0.1, -0.3])
    assert pairs(rows) == "6 / 0 / 5 of 6"
    assert orders(rows).startswith("all 1.00 / −1.00 / 0.80")


def test_maxima_within_the_scatter_of_measurements_are_no_pair() -> None:
    close = SCATTER / 2
    rows = shifts([0.0, -0.1, -0.1 - close, -0.3], [0.0, -0.2, -0.1, -0.3], [math.nan] * 4)
    assert pairs(rows) == "5 / 0 / – of 5"


def test_the_vapour_is_no_solvent() -> None:
    rows = shifts([-0.1, -0.2, -0.3, -0.4], [-0.1, -0.2, -0.3, -0.4], [math.nan] * 4)
    vapour = DyeShifts("vacuum", -0.9, 0.9, 0.9, math.nan)
    assert pairs([vapour, *rows]) == pairs(rows) == "6 / 0 / – of 6"

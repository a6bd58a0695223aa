"""Readable axes of pictures."""

from __future__ import annotations

from matplotlib.axis import Axis
from matplotlib.ticker import LogLocator


def plain_numbers(axis: Axis) -> None:
    """Write 0.3 and 2,000 at the ticks of a logarithmic axis that spans less than two decades."""
    low, high = axis.get_view_interval()
    if high < 100.0 * low:
        axis.set_minor_locator(LogLocator(subs=(2.0, 3.0, 5.0)))
        axis.set_major_formatter("{x:,g}")
        axis.set_minor_formatter("{x:,g}")

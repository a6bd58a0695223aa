"""Types that all rooms share, their equality, and the names of the multiplicities."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from typing import Any, Literal, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
"""An array of real numbers; a comment or docstring gives its shape and unit."""

Index = NDArray[np.intp]
"""An array of places in another array."""

Multiplicity = Literal["singlet", "triplet"]
"""Of an excited state of a closed-shell molecule."""

MultiplicityName = Literal["singlet", "triplet", "singlets", "triplets"]
"""What users may call it: the plural is accepted, too, as the attributes of a result are plural."""

MULTIPLICITIES: tuple[Multiplicity, ...] = ("singlet", "triplet")

P = ParamSpec("P")
R = TypeVar("R")


def as_multiplicity(name: str) -> Multiplicity:
    """The multiplicity a user means by ``"singlet"`` or ``"singlets"``, and so on.

    Raises
    ------
    ValueError
        For any other name.
    """
    for multiplicity in MULTIPLICITIES:
        if name in (multiplicity, multiplicity + "s"):
            return multiplicity
    raise ValueError(f"multiplicity is {name!r}: expected 'singlet' or 'triplet'; choose one")


def renamed(**names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let callers still use old names of a function's parameters, with a DeprecationWarning.

    ``@renamed(kind="multiplicity")`` passes the argument ``kind`` on as ``multiplicity``.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            given: dict[str, Any] = kwargs
            for old in names.keys() & given.keys():
                warnings.warn(
                    f"the parameter {old!r} is now called {names[old]!r}",
                    DeprecationWarning,
                    stacklevel=2,
                )
                given[names[old]] = given.pop(old)
            return function(*args, **kwargs)

        return call

    return decorate


def same(first: object, second: object) -> bool:
    """Whether all fields of two dataclasses are equal; nan equals nan.

    An array never equals None, the value of a field that was not stored.
    """
    for part in fields(first):  # type: ignore[arg-type]
        a, b = getattr(first, part.name), getattr(second, part.name)
        if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
            both = isinstance(a, np.ndarray) and isinstance(b, np.ndarray)
            if not both or not np.array_equal(a, b, equal_nan=True):
                return False
        elif a is not b and a != b:
            return False
    return True

"""Excited molecules in motion: relaxed to a minimum of their own, or hopping between surfaces.

relaxed_states   an excited state at its minimum on E₀ + ω, and what it emits there
surface_hopping  trajectories that hop between excited singlets
"""

from esml.dynamics.relaxed_states import CrossingError, RelaxedState, relaxed_state
from esml.dynamics.surface_hopping import Frame, SurfaceHopping

__all__ = ["CrossingError", "Frame", "RelaxedState", "SurfaceHopping", "relaxed_state"]

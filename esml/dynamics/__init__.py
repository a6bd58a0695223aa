"""Relaxation and dynamics of excited molecules.

relaxed_states   relaxation of an excited state on E₀ + ω, and its emission
surface_hopping  trajectories that hop between excited singlets
"""

from esml.dynamics.relaxed_states import CrossingError, RelaxedState, relaxed_state
from esml.dynamics.surface_hopping import Frame, SurfaceHopping

__all__ = ["CrossingError", "Frame", "RelaxedState", "SurfaceHopping", "relaxed_state"]

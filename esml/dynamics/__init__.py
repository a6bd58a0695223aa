"""Relaxation and dynamics of excited molecules.

relaxation       minima of the ground state and of excited states
relaxed_states   an excited state at its own minimum, and its emission
surface_hopping  trajectories that hop between excited singlets
"""

from esml.dynamics.relaxation import CrossingError
from esml.dynamics.relaxed_states import RelaxedState, relaxed_state
from esml.dynamics.surface_hopping import Frame, SurfaceHopping

__all__ = ["CrossingError", "Frame", "RelaxedState", "SurfaceHopping", "relaxed_state"]

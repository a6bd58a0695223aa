"""The network: from structures to the effective Hamiltonian."""

"""What symmetry and a Hamiltonian buy, at equal budgets."""

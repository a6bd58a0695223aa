"""What orbitals and excited states are."""

"""How lowest excited states are found."""

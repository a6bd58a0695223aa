"""How fast predictions and labels are."""

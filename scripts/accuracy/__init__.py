"""How accurate predictions and labels are, and where they fail."""

"""How far a prediction can be trusted."""

"""Training beyond `esml train`: error models, learning curves, variants of the recipe."""

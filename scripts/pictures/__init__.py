"""Pictures of the documentation that are taken from a browser."""

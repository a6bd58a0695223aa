"""The committed reference data: made, checked, described."""

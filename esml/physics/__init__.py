"""Physics of the minimal basis: works on any symmetric matrix; no network, no files."""

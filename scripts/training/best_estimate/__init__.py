"""A second set of response parameters, fitted to energies better than the labels'."""

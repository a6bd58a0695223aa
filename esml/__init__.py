"""esml: an electronic-structure surrogate for excited states."""

"""From structures to results with a trained model."""

"""From logits to probabilities and thresholds, fitted on validation images."""

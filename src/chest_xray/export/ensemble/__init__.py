"""Several bundles as one: one graph with one input, whose logits and heat maps are the members' means."""

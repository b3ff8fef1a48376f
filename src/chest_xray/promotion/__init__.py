"""From a comparison of two bundles to a verdict: may one take the place of the other."""

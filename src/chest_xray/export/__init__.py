"""From a run to a bundle, and from bundles to others that are smaller or joined."""

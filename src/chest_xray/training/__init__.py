"""From shards to a bundle: prepare, train, evaluate, export."""

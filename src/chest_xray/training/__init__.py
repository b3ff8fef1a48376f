"""From shards to a trained run."""

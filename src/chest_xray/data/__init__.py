"""From an NIH-format folder, real or drawn, to shards that training reads."""

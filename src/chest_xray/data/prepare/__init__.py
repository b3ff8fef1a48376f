"""From an NIH-format folder to shards: decoded and resized once, by many processes, the same bytes on every way."""

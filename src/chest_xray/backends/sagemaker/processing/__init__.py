"""Films prepared by processing jobs."""

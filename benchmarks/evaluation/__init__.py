"""The evaluation against references, against known truths, and against the clock."""

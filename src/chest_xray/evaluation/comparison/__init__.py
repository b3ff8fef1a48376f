"""Two sets of scores of the same images, and how sure one may be that they differ."""

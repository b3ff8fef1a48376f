"""Whether a heat map lies where the finding is: maps of test films against the boxes that readers drew."""

"""report.html: an evaluation for people, in one file that needs no network."""

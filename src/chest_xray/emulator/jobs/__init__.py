"""Jobs: what was asked for, the folder of the container's contract, the container as a process, and what it leaves."""

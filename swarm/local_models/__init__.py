"""Models in files on this machine: their names, their download, and a server for the time of a run."""

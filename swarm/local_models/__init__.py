"""Models in files on this machine: served for as long as a run takes, kept where they were fetched to, once."""

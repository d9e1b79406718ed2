"""The facts of a run: events, their fold, and the files that hold them."""

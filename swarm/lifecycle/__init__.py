"""A run from start to end: prepare, run, resume, replay."""

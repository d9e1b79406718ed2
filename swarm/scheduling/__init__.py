"""Who runs next: every decision of a run, and the task group that carries them out."""

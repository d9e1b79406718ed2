"""A finished run as files: the report, its table, and what `output:` of a task names."""

"""Results of a finished run: report, provenance, parallelism, comparison."""

"""The results of a finished run: report, provenance, parallelism."""

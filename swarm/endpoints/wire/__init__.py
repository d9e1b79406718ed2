"""Chat completions on the wire: requests, answers and faults; one model, one key, one try per call."""

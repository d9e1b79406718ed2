"""Chat completions on the wire: requests, answers and faults of one model with one key."""

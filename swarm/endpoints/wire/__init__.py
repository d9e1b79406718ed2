"""Chat completions on the wire: what goes out, what comes in, what goes wrong; one model, one key, one try a call."""

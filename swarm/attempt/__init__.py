"""One attempt: its prompt, its turns, the judging of its answers."""

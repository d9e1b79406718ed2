"""Where attempts run: each class with the one verb of `swarm.attempt.types.Executor`."""

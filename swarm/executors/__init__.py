"""Where attempts run: each executor is a class with the verb of `swarm.attempt.types.Executor`."""

"""Where attempts run: one class an place, each with the one verb of `swarm.executor.Executor`."""

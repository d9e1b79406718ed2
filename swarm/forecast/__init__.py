"""Forecasts: a run in simulated time, for several worker counts, and against one agent."""

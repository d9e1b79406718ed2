"""A plan before it runs: what a planner must know, the graph, the linter."""

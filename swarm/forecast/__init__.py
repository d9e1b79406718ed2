"""What a run would take, said before it: in virtual time, at several widths, and whether a swarm is worth it."""

"""Texts read strictly: YAML 1.2 and JSON as values, the place of every key, and what is wrong in words."""

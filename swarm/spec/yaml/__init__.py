"""Strict readers of YAML 1.2 and JSON: values, the position of every key, and errors in plain words."""

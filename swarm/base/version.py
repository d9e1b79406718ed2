"""The version of this package. The build reads it from here, so nothing in `swarm/` imports the package itself."""

__version__ = "0.1.0"

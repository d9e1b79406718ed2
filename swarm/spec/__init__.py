"""Types of what people write, the readers of their files, and data about providers."""

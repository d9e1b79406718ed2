"""Care of an endpoint: when it is called, how often, how many calls at once, and when it is called again."""

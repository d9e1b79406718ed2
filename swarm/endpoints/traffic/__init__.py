"""Traffic to an endpoint: when it is called, how often, how many calls in parallel, and retries."""

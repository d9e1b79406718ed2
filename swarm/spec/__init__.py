"""What people write, and what is known of providers."""

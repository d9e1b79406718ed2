"""What a run may spend: a ledger of reservations, prices, and meters around tries."""

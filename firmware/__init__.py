"""A wing: the secure firmware update (L01). It knows `security` and nothing else of the house."""

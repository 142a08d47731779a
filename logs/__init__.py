"""A wing: the security log and what is uploaded from it. It knows `security` and nothing else of the house."""

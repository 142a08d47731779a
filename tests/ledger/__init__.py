"""The ledger of requirements: which ids of the white paper are shown, by which tests, at which source lines."""

"""The board under the agent: the port that a vendor's driver fills, its discovery, and the simulated board."""

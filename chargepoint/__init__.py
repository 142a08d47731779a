"""The roof: speaks OCPP-J, owns the event loop, holds the adapters to the world and composes the agent."""

from typing import Final

__version__: Final = "0.1.0"

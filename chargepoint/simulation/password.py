"""Passwords as a Central System should make them."""

import secrets

from chargepoint.simulation.admission import MAX_PASSWORD_BYTES


def new_password() -> bytes:
    """Make a password of the greatest length, of random bytes, and never the same twice (A01.FR.07)."""
    return secrets.token_bytes(MAX_PASSWORD_BYTES)

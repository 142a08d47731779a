"""What the Charge Point does with each request of the Central System: one coroutine a message, without state."""

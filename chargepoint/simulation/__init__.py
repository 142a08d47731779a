"""The simulated Central System with its own PKI: a test instrument.

It shares nothing with the agent but the `ocpp` schemas, so that a common mistake cannot pass.
"""

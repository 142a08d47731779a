"""The ground: certificates, trust, keys, the rules of TLS and the security events.

It imports neither the wings (`firmware`, `logs`) nor the roof (`chargepoint`).
"""

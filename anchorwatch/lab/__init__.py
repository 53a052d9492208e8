"""A signed DNS world on loopback: zones, a resolver in front of them, and incidents that can be staged.

Everything is made and signed here with dnspython and cryptography, apart from the validator's own code, so that the
one can test the other.
"""

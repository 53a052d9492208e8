"""The limits on the work for one name, so that a hostile zone can't keep us busy (KeyTrap and similar attacks).

Source: CVE-2023-50387 (colliding keys × signatures), CVE-2023-50868 (NSEC3 closest-encloser proofs).
"""

from collections import Counter

from collector.dnssec.names import Name
from collector.dnssec.policy import Policy


class Budget:
    """The operations one validation has left; every ``take_`` returns False once its limit is reached."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._failed: Counter[Name] = Counter()
        self.crypto_operations = 0
        self.nsec3_hashes = 0
        self.queries = 0

    def take_crypto(self, zone: Name) -> bool:
        """Take one signature verification with a key of ``zone``."""
        if self._failed[zone] >= self._policy.max_failed_tries:
            return False
        if self.crypto_operations >= self._policy.max_crypto_operations:
            return False
        self.crypto_operations += 1
        return True

    def take_spare_crypto(self, zone: Name) -> bool:
        """Take one verification that no verdict needs, while at least half of the operations are left."""
        return self.crypto_operations < self._policy.max_crypto_operations // 2 and self.take_crypto(zone)

    def note_failed(self, zone: Name) -> None:
        """Count a verification that failed against ``zone``."""
        self._failed[zone] += 1

    def take_hash(self) -> bool:
        """Take the NSEC3 hash of one name."""
        if self.nsec3_hashes >= self._policy.max_nsec3_hashes:
            return False
        self.nsec3_hashes += 1
        return True

    def take_query(self) -> bool:
        """Take one question to the vantage."""
        if self.queries >= self._policy.max_queries:
            return False
        self.queries += 1
        return True

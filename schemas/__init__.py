"""The only vocabulary the stages share: message types, finding catalogue, faults, ClickHouse DDL; and how connections
leave this machine: by which proxy, trusting whom, and for how long.

identity      a non-human identity in the inventory
endpoint      a host and record types that identities consume
vantage       a resolver as seen from here
verdict       secure, insecure, bogus or indeterminate (RFC 4033 §5, RFC 4035 §4.3)
reason        why a verdict is what it is: a code of the catalogue
finding       what the analyzer reports: a state (opens, closes when gone) or a drift (an edge; never closes by itself)
incident      findings with one cause: what a person is paged for
notification  one delivery
evidence      the wire messages behind a verdict
"""

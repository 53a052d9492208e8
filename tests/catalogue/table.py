"""All cases: one a row of the catalogue."""

from tests.catalogue import answers, changes, keys, ourselves, servers, signatures, vantages

CASES = (
    *signatures.CASES,
    *keys.CASES,
    *answers.CASES,
    *servers.CASES,
    *vantages.CASES,
    *changes.CASES,
    *ourselves.CASES,
)
ELSEWHERE = ourselves.ELSEWHERE

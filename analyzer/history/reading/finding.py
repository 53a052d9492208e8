"""Anything by a few signs of it: names, zones, identities, owners, findings and evidence."""

from analyzer.history.reading.asking import Read

MOST = 8


# Whole matches come first, then those that begin so, then the shortest.
_RANKED = """
    SELECT {column} FROM ({source}) WHERE positionCaseInsensitive({column}, %(text)s) > 0
    GROUP BY {column}
    ORDER BY lower({column}) IN (lower(%(text)s), concat(lower(%(text)s), '.')) DESC,
             startsWith(lower({column}), lower(%(text)s)) DESC, length({column}), {column}
    LIMIT %(limit)s
"""
SOURCES = {
    "name": ("name", "SELECT name FROM checks_now"),
    "zone": ("zone", "SELECT zone FROM zones_now"),
    "identity": ("id", "SELECT id FROM identities FINAL WHERE identity != ''"),
    "owner": ("owner", "SELECT owner FROM identities FINAL WHERE identity != ''"),
}


def find_anything(read: Read, text: str, *, is_id: bool) -> dict[str, list[str]]:
    """Return what has a text in it, by kind, the best first; ``is_id``: it may begin an id of ours."""
    found: dict[str, list[str]] = {}
    for kind, (column, source) in SOURCES.items():
        sql = _RANKED.format(column=column, source=source)
        found[kind] = [str(one) for (one,) in read(sql, {"text": text, "limit": MOST})]
    if is_id:
        sql = "SELECT DISTINCT id FROM findings WHERE startsWith(id, %(text)s) LIMIT %(limit)s"
        found["finding"] = [str(one) for (one,) in read(sql, {"text": text.lower(), "limit": MOST})]
        sql = "SELECT DISTINCT digest FROM evidence WHERE startsWith(digest, %(text)s) LIMIT %(limit)s"
        found["evidence"] = [str(one) for (one,) in read(sql, {"text": text.lower(), "limit": MOST})]
    return found

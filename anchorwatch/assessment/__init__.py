"""What was found and done over a time, by the controls of a framework.

Where to look
    assess    what the API says in, a report out; pure
    oscal     a report as OSCAL assessment results
    page      a report as HTML that prints well
    digests   what one owner must know of its identities
    letters   the digests of all owners, written in a thread
"""

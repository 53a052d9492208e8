"""What zones do over time: their keys, and when their signatures end.

Where to look
    rollover   what kind of change a key set went through
    expiry     signatures that run out, and the habit of their renewals
"""

"""What was said, to whom, what is open, and what waits to be delivered.

Where to look
    ledger     what the stage asks of it
    sqlite     one file, one transaction a step
    overflow   steps that wait while the disk is full
"""

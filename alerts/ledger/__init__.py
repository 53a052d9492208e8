"""What was said, to whom, what is open, and what waits to be delivered.

Where to look
    sqlite     one file, one transaction a step
    overflow   steps that wait while the disk is full
"""

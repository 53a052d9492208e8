"""What this machine and its resolvers can do for the watch: each check ends in time and says what to change.

Where to look:
    checks      what a check says, and what all of them come to
    sights      what a resolver showed, as data
    resolvers   asks a resolver, and judges what it showed
    clock       what the kernel and valid signatures say of the clock
    machine     disks, descriptors, the engine
    parts       receivers, the history, a running instance
    examination all of them at the same time
    draft       the first configuration, by what was seen
    patience    work that may hang, given up after a while
"""

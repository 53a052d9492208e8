"""The HTTP side's doors: who may ask, what a question may look like, how many connections there are."""

"""Where the documents of a source come from: each knows when they changed, and reads them.

Where to look
    supply      what a source delivers
    files       a file, a folder, files by a pattern
    polled      what is asked again and again, in a thread
    exchange    one bounded HTTP request
    web         a document by its URL
    cluster     the objects of a Kubernetes API server
"""

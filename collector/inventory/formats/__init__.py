"""What other programs have written about who consumes what, as rows: one module a format.

Where to look
    known       which format a document has, and how each is read; a further format is entered there
    trees       YAML and JSON of any shape as values that know their lines
    gathering   endpoints of many objects, gathered into identities
    kubernetes  manifests: annotations, ExternalName, ServiceEntry, toFQDNs
    listed      what an API server is asked for, and what of it is kept
    mcp         client configurations of the Model Context Protocol
    issuers     OpenID Connect issuers
    cyclonedx   services of a software bill of materials
"""

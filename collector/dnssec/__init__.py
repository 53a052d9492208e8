"""DNSSEC validation from a trust anchor down. Pure: questions are yielded, replies are sent in, time is an argument.

Where to look
    message, records, names    wire format: octets to RRsets
    signatures, crypto         one RRset and its RRSIGs (RFC 4035 §5.3)
    delegation, keyset         DS and DNSKEY: which keys a parent vouches for, and what they sign (RFC 4035 §5.2)
    chain                      from the anchor to the zone of a name, one label at a time
    denial                     the denial records of a response, verified
    proof, nsec, nsec3         the questions that they answer, and the two kinds of proofs (RFC 4035 §5.4, RFC 5155 §8)
    validation                 one question: aliases, wildcards, data or denial
    fault, wording             the reason of a verdict: its fields, and its sentence
    questions, context         the questions to the vantage, and the state of one validation
    judgement                  the result as a message, with its evidence
    private                    names that a resolver answers by itself
    policy, budget, anchors    the rules, the limits, the trust anchors
    skim                       whether a response says the same as the last one
    resigned                   whether an answer differs from the last one by its signature alone
    replay                     the same again from evidence

Glossary
    anchor       a trust anchor: keys that are believed without proof
    chain node   the result of the walk at one name: its zone, the verdict, the keys
    fault        the reason of a verdict, or a remark, with its particulars
    key set      a zone's DNSKEY RRset
    entry key    a key that a DS record points at
    cut          where one zone ends and the next begins
    window       inception and expiration of a signature
    imprint      what is kept of a response to tell whether the next one says the same
"""

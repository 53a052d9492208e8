"""DNSSEC validation from a trust anchor down. Pure: questions are yielded, replies are sent in, time is an argument.

Where to look
    message, records, names    wire format: octets to RRsets
    signatures, crypto         one RRset and its RRSIGs (RFC 4035 §5.3)
    delegation, keyset         DS and DNSKEY: which keys a parent vouches for, and what they sign (RFC 4035 §5.2)
    chain                      from the anchor to the zone of a name, one label at a time
    denial                     absence: the denial records of a response, verified
    proof, nsec, nsec3         what they prove: the questions, and two kinds of answers (RFC 4035 §5.4, RFC 5155 §8)
    validation                 one question: aliases, wildcards, data or denial
    fault, wording             why a verdict is what it is: as fields, and the sentence about it
    questions, context         what is asked on the way, and what is known on it
    judgement                  what a validation came to, as a message
    policy, budget, anchors    what is allowed, what it may cost, what is trusted
    skim                       whether a response says what the last one said
    replay                     the same again from evidence

Glossary
    anchor       a trust anchor: what is believed without proof
    chain node   what is known at one name on the way down
    fault        why a verdict or a remark is what it is, with its particulars; words are made of it last
    key set      a zone's DNSKEY RRset
    entry key    a key that a DS record points at
    cut          where one zone ends and the next begins
    window       inception and expiration of a signature
"""

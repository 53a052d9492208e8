"""What is the case at one endpoint: its conditions now, its state, and what changed since the last validated answer.

Where to look
    conditions      a judgement to the conditions that open findings
    claims          what the resolver tells its clients, held against what was validated
    drift           edges between two validated judgements
    baseline        what was learnt of the answers until now
    answers         how grave it is that they are others now
    vantages        names that vantages see differently
    contradictions  denials that deny what is there
    gaps            endpoints that are watched and yet not polled
    current         every endpoint as it is now, by verdict and by chain

Glossary
    learnt       there for a day in all, or on three occasions over more than a day, in the last 30 days
    settled      without a new network for a day, or for a week where the answers rotate
"""

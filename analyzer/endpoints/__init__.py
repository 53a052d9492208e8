"""What is the case at one endpoint: its conditions now, its state, and what changed since the last validated answer.

Where to look
    conditions   a judgement to the conditions that open findings
    claims       what the resolver tells its clients, held against what was validated
    drift        edges between two validated judgements
    current      every endpoint as it is now, by verdict and by chain
"""

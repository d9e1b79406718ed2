"""What a text says, found without a model: its sentences, words and quantities, and figures that disagree.

Nothing here reads a file, calls an endpoint or knows a run. The built-in endpoint `offline` and the evidence of
claims (`swarm/attempt/evidence/`) are made of it.
"""

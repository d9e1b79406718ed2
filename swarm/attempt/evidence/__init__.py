"""Whether the claims of a report, or of a worker's answer, are in the texts that they rest on.

Everything here is pure and calls no model. `sources` indexes a text (its sentences, figures and names come from
`swarm/texts/`), `derive` recomputes sums, differences, ratios and counts, `look` searches for one claim, `check`
gives each claim its status.
"""

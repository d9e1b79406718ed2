"""Whether the claims of a report, or of a worker's answer, are in the texts that they rest on.

Everything here is pure and calls no model. `passages` splits a text into sentences, `figures` reads
numbers, `terms` reads names and quotations, `sources` indexes a text, `derive` recomputes sums,
differences, ratios and counts, `look` searches for one claim, `check` gives each claim its status.
"""

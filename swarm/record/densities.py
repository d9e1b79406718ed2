"""How many tokens the texts of a run really have, as a multiple of `estimate_tokens`.

The estimate is three bytes per token. Prose has more, digits and short keys have fewer, and every
model counts in its own way. So parts of a text teach how dense it is: by the usage that the
endpoint reported, or by a refusal of a part that had to fit. Pieces of the same text that are cut
later are as large as fits (`Step.density`).
"""

from collections.abc import Collection
from math import ceil

STEPS = 16
"""Densities are rounded up to one part in this many, so that pieces of one text teach the same."""
LEAST, MOST = 0.5, 4.0
"""Densities that are believed: six bytes per token to less than one."""
UNKNOWN = 1.0


class Densities:
    """What is known of the texts of a run, by the alias of a model and the name of a text."""

    def __init__(self) -> None:
        self._measured: dict[tuple[str, str], float] = {}
        self.guessed: dict[tuple[str, str], float] = {}
        """What refusals taught, until a part was read."""

    def measure(self, model: str, name: str, tokens: int, estimate: int) -> None:
        """Note what an endpoint counted for a part. The densest piece of a text decides, and no guess is left."""
        density = ceil(STEPS * tokens / estimate) / STEPS
        if LEAST <= density <= MOST:
            key = model, name
            self.guessed.pop(key, None)
            self._measured[key] = max(density, self._measured.get(key, 0.0))

    def guess(self, model: str, name: str, density: float) -> None:
        """Note that a part was refused that should have fitted: the text is denser than it was taken for."""
        self.guessed[model, name] = max(density, self.guessed.get((model, name), 0.0))

    def refused(self, model: str, names: Collection[str]) -> float:
        """Return the density that refusals taught of some of these texts; 0 if none did."""
        return max((self.guessed.get((model, name), 0.0) for name in names), default=0.0)

    def of(self, model: str, names: Collection[str], *, outputs: bool = False) -> float:
        """Return the density of what a step reads, that of the densest text; 1 for an unknown text.

        `outputs`: outputs of other steps are among it. They repeat texts of the run, so the densest of
        these decides.
        """
        every = {**self._measured, **self.guessed}
        known = {key: density for key, density in every.items() if key[0] == model}
        if not known:
            return UNKNOWN
        found = [known.get((model, name), UNKNOWN) for name in names]
        return max([*found, *(known.values() if outputs else ())], default=UNKNOWN)

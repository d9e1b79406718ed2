"""What writers of reports are told of the outputs that they read: which of them contradict each other.

To compare outputs costs more than to size a step, and a step is sized several times. So they are compared only if a
step reads them in one prompt, and once: the attempt has what was found when it was sized.
"""

from swarm.attempt.prompt import reading_of, written
from swarm.attempt.support import CONFLICTS_LISTED, LINE_CHARACTERS, conflict_lines
from swarm.attempt.types import Attempt
from swarm.spec.chat import BYTES_PER_TOKEN

MOST_TOKENS = CONFLICTS_LISTED * LINE_CHARACTERS * 4 // BYTES_PER_TOKEN + 200
"""Maximum tokens of conflicts in a prompt, with the words that announce them: a character has up to 4 bytes."""

_Texts = tuple[tuple[str, str], ...]


class Told:
    """What the attempts of a run are told."""

    def __init__(self) -> None:
        self._found: dict[_Texts, tuple[str, ...]] = {}
        """Conflicts between outputs that a step will read, by step and text, until its attempt is made."""

    def of(self, attempt: Attempt) -> Attempt:
        """Return an attempt with the conflicts between the outputs that it reads."""
        texts = _texts(attempt)
        if len(texts) < 2:
            return attempt
        lines = self._found.pop(texts) if texts in self._found else conflict_lines(attempt.given)
        return attempt.model_copy(update={"conflicts": lines}) if lines else attempt

    def sized(self, attempt: Attempt) -> Attempt:
        """Return the same if it matters for whether the attempt fits its prompt, else the attempt as it is."""
        texts = _texts(attempt)
        if len(texts) < 2:
            return attempt
        reading = reading_of(attempt)
        if not reading.fits or reading.total + MOST_TOKENS <= reading.room:
            return attempt
        if texts not in self._found:
            self._found[texts] = conflict_lines(attempt.given)
        return attempt.model_copy(update={"conflicts": self._found[texts]})


def _texts(attempt: Attempt) -> _Texts:
    if attempt.agent.output != "report":
        return ()
    return tuple((each.step, written(each.output)) for each in attempt.given)

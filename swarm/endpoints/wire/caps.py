"""The largest output cap that a rejection names. Pure.

Endpoints name what was sent, what is allowed, or the context and the prompt that leave the rest.
"""

import re

LEAST_CAP = 16
"""Minimum tokens of an output cap that is worth a call. With less left, the prompt is too long."""
_ABOUT_CAP = re.compile(r"max[_ ](?:completion_|output_|new_)?tokens|(?:output|completion) tokens|in the completion")
_ROOM: tuple[re.Pattern[str], ...] = (
    re.compile(r"> (\d{2,9}) - (\d{1,9})"),  # vLLM
    re.compile(
        r"context length is (\d{2,9}) tokens?\b.{0,200}?(?:at least )?(\d{1,9}) (?:input tokens|in the messages)"
    ),
    re.compile(
        r"context length is (\d{2,9}) tokens?\b.{0,200}?(\d{1,9}) (?:of|tokens from) (?:the )?(?:text|input|prompt)"
    ),
)
"""Patterns with the context size and the tokens of the prompt."""
_MOST: tuple[re.Pattern[str], ...] = (
    re.compile(r"\[\s?\d{1,3}\s?,\s?(\d{2,9})\s?[\])]"),  # DeepSeek, Qwen
    re.compile(r"at most `?(\d{2,9})"),  # OpenAI
    re.compile(r"less than or equal to `?(\d{2,9})|<= ?`?(\d{2,9})|cannot exceed `?(\d{2,9})"),  # Groq, Mistral
    re.compile(r"> ?(\d{2,9}),? which is the maximum"),  # Claude
    re.compile(r"maximum (?:allowed |value |number )?[a-z_` ]{0,60}(?:is|of|:) ?`?(\d{2,9})"),
    re.compile(r"between \d{1,3} and (\d{2,9})"),
    re.compile(r"limit(?:ed)? (?:is|of|to) (\d{2,9})"),
)
"""Patterns with the cap itself."""
_EXCEEDS = re.compile(
    r"exceed|greater|larger|too large|limit|max(imum)?\b|at most|range|out of|> |最大|范围|超(过|出)|上限"
)
_NUMBER = re.compile(r"(?<![\w.\-])\d{1,3}(?:,\d{3})+(?!\w)|(?<![\w\-])\d{2,9}(?![\w\-]|\.\d)")


def largest_cap(said: str, sent: int) -> int | None:
    """Return the cap that a rejection in lower case allows, if it is lower than the one that was sent."""
    if not _ABOUT_CAP.search(said):
        return None
    for pattern in _ROOM:
        found = pattern.search(said)
        if found is not None:
            return _lower(int(found[1]) - int(found[2]), sent)
    for pattern in _MOST:
        for found in pattern.finditer(said):
            cap = _lower(int(next(filter(None, found.groups()))), sent)
            if cap is not None:
                return cap
    return _the_other_number(said, sent)


def _the_other_number(said: str, sent: int) -> int | None:
    """Return the only number of a rejection that is not the one that was sent."""
    if _EXCEEDS.search(said) is None:
        return None
    numbers = {int(found.replace(",", "")) for found in _NUMBER.findall(said)} - {sent}
    return _lower(numbers.pop(), sent) if len(numbers) == 1 else None


def _lower(cap: int, sent: int) -> int | None:
    return cap if LEAST_CAP <= cap < sent else None

"""The context size that a refusal of a too long request states, in its words.

Most endpoints name two numbers: what was sent and what is allowed. The patterns know which is
which.
"""

import re

LEAST_CONTEXT, MOST_CONTEXT = 256, 100_000_000
"""Range in tokens of a plausible context size."""
WORDS_READ = 4096
"""Characters of a refusal that are searched: a long body must cost no time."""
_NUMBER = r"(\d{1,3}(?:[,_]\d{3})+|\d+)"
_PATTERNS = tuple(
    re.compile(pattern.replace("N", _NUMBER))
    for pattern in (
        r"context[ _-](?:length|size|window)(?: is| of|:)?(?: only)? \(?N",  # OpenAI, vLLM, SGLang, LM Studio
        r"model token limit: N",  # Kimi
        r"number of tokens allowed \(N",  # Gemini
        r"range of input length should be \[\d+, ?N\]",  # Qwen
        r"tokens > N maximum",  # Claude
        r"context limit: \d+ \+ \d+ > N",  # Claude
        r"(?:with|of) N maximum context length",  # Mistral
        r"must be <= N",  # Text Generation Inference
        r"must have less than N tokens",  # Text Generation Inference
        r"cannot exceed N",  # Cohere
        r"max(?:imum)? size: N tokens",  # GitHub Models
        r"while limit is N",  # Cerebras
        r"maximum (?:prompt|input) length(?: is| of|:)? N",
        r"(?:limit|maximum) (?:is|of) N tokens",
    )
)
"""Patterns of words in lower case. `N` is the size. The first that matches decides."""


def context_in(text: str) -> int | None:
    """Return the context size that a refusal states, in tokens, or None."""
    words = text[:WORDS_READ].lower()
    for pattern in _PATTERNS:
        match = pattern.search(words)
        if match is not None:
            return plausible(int(re.sub("[,_]", "", match[1])))
    return None


def plausible(size: object) -> int | None:
    """Return a context size, or None if a value is not one."""
    return size if type(size) is int and LEAST_CONTEXT <= size <= MOST_CONTEXT else None

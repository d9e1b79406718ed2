"""Tool calls that a model writes as text, in the markup of its chat template. Pure.

A server that does not know the markup passes it on as an answer. Such a text is not an answer, with
tools granted or without. A text that only quotes the markup as code is one.
"""

import re

from swarm.base.code_spans import without_code

OPENINGS: tuple[str, ...] = (
    # tool_call, tool_calls, function_call …, in the brackets and with the endings of any template: Qwen, Hermes,
    # Kimi, DeepSeek, MiniMax, Seed, Gemma, Granite, LFM, Nemotron, Jamba
    r"<[|｜]?(?:[\w-]{1,20}[:_|｜])?(?:tool|function)[_▁ ]?calls?(?:[_▁](?:section[_▁])?(?:begin"
    r"|start))?[|｜]?>",
    r"<function=",  # Llama, Qwen3-Coder
    r"<(?:\w{1,20}:)?invoke name=",  # MiniMax, Claude
    r"<[|｜]DSML[|｜]",  # DeepSeek 3.2
    r"<\|python_tag\|>",  # Llama
    r"<\|(?:START_ACTION|action_start|plugin)\|>",  # Command A, InternLM
    r"\[TOOL_(?:CALLS|REQUEST)\]",  # Mistral, LM Studio
    r"(?:<\|start\|>assistant\s{0,4})?<\|channel\|>\s{0,4}\w{0,20}\s{0,4}to=",  # Harmony
    r"<\|start\|>assistant\s{1,4}to=",
    r"(?:assistant)?commentary to=functions\.",  # Harmony whose tokens were dropped
    r"✿FUNCTION✿",  # Qwen-Agent
)
"""Starts of a call, in any case, as regular expressions."""

CLOSINGS: tuple[str, ...] = (
    r"</?[|｜]?(?:[\w-]{1,20}[:_|｜])?/?(?:tool"
    r"|function)[_▁ ]?calls?(?:[_▁](?:section[_▁])?end)?[|｜]?>",
    r"</function>",
    r"</(?:\w{1,20}:)?invoke>",
    r"</[|｜]DSML[|｜]\w{1,40}>",
    r"<\|(?:END_ACTION|action_end|call|eom_id|eot_id)\|>",
    r"\[(?:/TOOL_CALLS|END_TOOL_REQUEST)\]",
)
"""Ends of a call. Some templates have none: then the rest of the text is the call."""

_OPENING = re.compile("|".join(OPENINGS), re.IGNORECASE)
_CLOSING = re.compile("|".join(CLOSINGS), re.IGNORECASE)
_ARGUMENTS = re.compile(r"[{\[<]")
"""Start of the arguments, right after an opening without an end."""


def is_written_call(text: str) -> bool:
    """Return whether a text begins with a tool call, or ends in one, outside of code."""
    if _OPENING.search(text) is None:
        return False
    bare = without_code(text).strip()
    opening = _OPENING.search(bare)
    if opening is None:
        return False
    if opening.start() == 0:
        return True
    closings = list(_CLOSING.finditer(bare, opening.end()))
    if closings:
        return closings[-1].end() == len(bare)
    line_start = bare.rfind("\n", 0, opening.start()) + 1
    is_alone = not bare[line_start : opening.start()].strip()
    return is_alone and _ARGUMENTS.search(bare, opening.end()) is not None

"""Tool calls that a model writes as text, in the markup of its chat template. Pure.

A server that does not know the markup passes it on as an answer. Such a text is not an answer, with
tools granted or without. A text that only quotes the markup as code is one.
"""

import re
from typing import Any, cast

from pydantic_core import from_json

from swarm.base.code_spans import without_code

OPENINGS: tuple[str, ...] = (
    # tool_call, tool_calls, function_call …, in the brackets and with the endings of any template: Qwen, Hermes,
    # Kimi, DeepSeek, MiniMax, Seed, Gemma, Granite, LFM, Nemotron, Jamba
    r"<[|｜]?(?:[\w-]{1,20}[:_|｜])?(?:tool|function)[_▁ ]?calls?(?:[_▁](?:section[_▁])?(?:begin"
    r"|start))?[|｜]?>",
    r"<function=",  # Llama, Qwen3-Coder
    r"<(?:\w{1,20}:)?(?:invoke|function_call) name=",  # MiniMax, Claude, Grok
    r"<(?:tools?|tool_use|tool_code|execute_tool|use_mcp_tool)>",  # Qwen2.5-Coder, Gemini, Cline
    r"functools\[",  # Phi-4
    r"<ctrl42>call:",  # Gemini
    r">>>[\w.]{1,64}\n\{",  # Functionary
    r"<\|recipient\|>",
    r"<[|｜]DSML[|｜]",  # DeepSeek 3.2
    r"<\|python_tag\|>",  # Llama
    r"<\|(?:START_ACTION|action_start|plugin)\|>",  # Command A, InternLM
    r"\[TOOL_(?:CALLS|REQUEST)\]",  # Mistral, LM Studio
    r"(?:<\|start\|>assistant\s{0,4})?<\|channel\|>\s{0,4}\w{0,20}\s{0,4}to=",  # Harmony
    r"<\|start\|>assistant\s{1,4}to=",
    r"(?:(?:assistant)?commentary )?to=functions\.",  # Harmony whose tokens were dropped
    r"✿FUNCTION✿",  # Qwen-Agent
)
"""Starts of a call, in any case, as regular expressions."""

CLOSINGS: tuple[str, ...] = (
    r"</?[|｜]?(?:[\w-]{1,20}[:_|｜])?/?(?:tool"
    r"|function)[_▁ ]?calls?(?:[_▁](?:section[_▁])?end)?[|｜]?>",
    r"</function>",
    r"</(?:tools|tool|tool_use|tool_code|execute_tool|use_mcp_tool)>",
    r"<ctrl43>",
    r"</(?:\w{1,20}:)?invoke>",
    r"</[|｜]DSML[|｜]\w{1,40}>",
    r"<\|(?:END_ACTION|action_end|call|eom_id|eot_id)\|>",
    r"\[(?:/TOOL_CALLS|END_TOOL_REQUEST)\]",
)
"""Ends of a call. Some templates have none: then the rest of the text is the call."""

MOST_CHARACTERS = 100_000
"""Maximum characters of a text that is read as the JSON of a call."""

_OPENING = re.compile("|".join(OPENINGS), re.IGNORECASE)
_CLOSING = re.compile("|".join(CLOSINGS), re.IGNORECASE)
_ARGUMENTS = re.compile(r"[{\[<]")
"""Start of the arguments, right after an opening without an end."""
_STEPS = re.compile(r"^Action: ?[^\n]{1,80}\n+Action Input:", re.MULTILINE)
"""A call in the steps of ReAct (Yao et al. 2022), which ends with a final answer."""
_FENCED = re.compile(r"`{3,}(?:tool_code|tool_calls?|tool_use|function_calls?)\n.*", re.DOTALL)
"""A whole text that is code in the language of a call: Gemma."""
_PYTHONIC = re.compile(r"\[{1,2}[A-Za-z_][\w.]*\((?:\w+ ?=.*)?\)\]{1,2}", re.DOTALL)
"""A whole text that is a list of calls in Python: Llama 4."""
_NAMES = {"name", "tool", "tool_name", "function"}
_VALUES = {"arguments", "parameters", "tool_input", "args"}
_LISTS = {"tool_calls", "function_call", "function_calls"}


def is_written_call(text: str, *, wants_json: bool = False) -> bool:
    """Return whether a text begins with a tool call, or ends in one, outside of code.

    If JSON is the answer, the JSON of a call may be one: its arguments are read by the schema.
    """
    text = text.strip()
    if _FENCED.fullmatch(text) or _PYTHONIC.fullmatch(text):
        return True
    if not wants_json and _is_call_in_json(text):
        return True
    steps = _STEPS.search(without_code(text))
    if steps is not None:
        return "Final Answer:" not in text
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


def _is_call_in_json(text: str) -> bool:
    """Return whether a whole text is the JSON of a call: a name with its arguments."""
    if text[:1] not in {"{", "["} or len(text) > MOST_CHARACTERS:
        return False
    try:
        value = from_json(text)
    except ValueError:
        return False
    calls = cast("list[Any]", value) if isinstance(value, list) else [value]
    return bool(calls) and all(map(_is_call, calls))


def _is_call(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    fields = cast("dict[str, Any]", value)
    if not _LISTS.isdisjoint(fields):
        return len(fields) == 1
    named = [name for name in fields if name in _NAMES and isinstance(fields[name], str)]
    given = [name for name in fields if name in _VALUES and isinstance(fields[name], dict)]
    return len(named) == len(given) == 1 and fields.keys() <= {*named, *given, "type", "id"}

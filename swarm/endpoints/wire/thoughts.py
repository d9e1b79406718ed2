"""Thoughts that a server leaves in the words of an answer, and the tokens of chat templates. Pure.

Servers separate a model's reasoning from its answer only if they know its format. Here are the
formats in use, as tables. What a text quotes as code is never changed.
"""

import re

from pydantic_core import from_json

from swarm.base.code_spans import CODE, code_end, code_spans

_NAMES = (
    r"think(?:ing)?|thoughts?|reasoning|think_never_used_\w{1,40}|\w{1,12}_think|cot_budget_reflect"
    r"|reflection|scratchpad|inner_?(?:monologue|thoughts?)|internal_thoughts?|cot|思考"
)
"""Names of tags around thoughts."""

THOUGHTS: tuple[tuple[str, str], ...] = (
    (
        rf"<((?:[\w-]{{1,20}}:)?(?:{_NAMES}))(?:\s[^<>\n]{{0,80}})?>",
        rf"</(?:[\w-]{{1,20}}:)?(?:{_NAMES})\s{{0,8}}>",
    ),
    (r"<(details) type=\"reasoning\"[^<>\n]{0,200}>", r"</details>"),  # Open WebUI
    (r"<unused94>\s{0,4}(thought)\b", r"<unused95>"),  # MedGemma
    (r"<\|(?:start|begin)_(?:of_)?(think(?:ing)?|reasoning)\|>", r"<\|end_(?:of_)?{name}\|>"),
    (r"<[|｜](think(?:ing)?|thought|reasoning)_(?:start|begin)[|｜]>", r"<[|｜]{name}_end[|｜]>"),
    (r"\[(THINK|THINKING)\]", r"\[/{name}\]"),  # Magistral
    (r"◁(think)▷", r"◁/{name}▷"),  # Kimi-VL
    (r"<\|channel>(thought)\b", r"<channel\|>"),  # Gemma 4
    (r"<\|START_(THINKING)\|>", r"<\|END_{name}\|>"),  # Command A
    (r"<\|(?:begin|start)_of_(thought)\|>", r"<\|end_of_{name}\|>"),
    (r"<[|｜](think|thinking)[|｜]>", r"<[|｜]/{name}[|｜]>"),
)
"""Openings of thoughts and their closings, in any case, as regular expressions. `{name}` in a
closing is the group of its opening."""

STARTS: tuple[str, ...] = (
    "<|im_start|>assistant",
    "<|start|>assistant",
    "<|assistant|>",
    "<|start_header_id|>assistant<|end_header_id|>",
    "<|start_of_role|>assistant<|end_of_role|>",
    "<start_of_turn>model",
    "<|turn>model",
    "<|START_RESPONSE|>",
    "<|begin_of_solution|>",
    "<|begin_of_box|>",
    "<｜Assistant｜>",
    "<s>",
)
"""Tokens with which templates begin an answer. They are cut off at the very start."""

ENDS: tuple[str, ...] = (
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|eot|>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<|end_of_turn|>",
    "<|end_of_solution|>",
    "<|END_RESPONSE|>",
    "<|END_OF_TURN_TOKEN|>",
    "<|end_of_box|>",
    "<|endofresponse|>",
    "<|separator|>",
    "<|eos|>",
    "<|eom|>",
    "<eod>",
    "[|endofturn|]",
    "[/INST]",
    "<|EOT|>",
    "<|user|>",
    "<|observation|>",
    "<end_of_turn>",
    "<turn|>",
    "<eos>",
    "<｜end▁of▁sentence｜>",
    "[EOS]",
    "</s>",
)
"""Tokens with which templates end an answer. They are cut off at the very end."""

WRAPPERS: tuple[str, ...] = ("answer", "response", "final", "output")
"""Tags around the whole answer, after a thought."""

_OPEN = re.compile("|".join(opening for opening, _ in THOUGHTS), re.IGNORECASE)
_ORPHAN = (
    rf"</(?:[\w-]{{1,20}}:)?(?:{_NAMES})\s{{0,8}}>|\[/THINK(?:ING)?\]|◁/think▷"
    r"|<\|END_THINKING\|>|<\|end_of_thought\|>"
)
"""Closings whose opening may have been part of the prompt."""
_MARK = re.compile(rf"(?P<code>{CODE})|(?P<orphan>{_ORPHAN})|(?:{_OPEN.pattern})", re.IGNORECASE | re.MULTILINE)
"""What matters next in a text: code, a closing without an opening, or an opening."""
_HINT = re.compile(r"think|thought|reasoning|channel|reflect|scratchpad|inner_?monologue|cot>|思考", re.IGNORECASE)
_MENTION = re.compile(r"\s*(?:and|or|,|/|…|\.\.\.)\s*", re.IGNORECASE)
"""What stands between two tags that are only mentioned."""
_BOUNDARY = re.compile(r"(?:[.!?:。！？：]\s{0,40}|\n\s{0,40})\Z")
"""End of a sentence or line: a thought may start there."""

_CHANNEL = re.compile(r"<\|channel\|>")
_FINAL = re.compile(r"<\|channel\|>\s{0,8}final\b\s{0,8}(?:<\|constrain\|>\s{0,8}\w{0,20}\s{0,8})?(?:<\|message\|>)?")
_CALL_IN_CHANNEL = re.compile(r"<\|channel\|>\s{0,8}\w{0,20}\s{0,8}to=|assistant to=")
_CHANNEL_END = re.compile(r"<\|(?:end|return|call|start)\|>")
_BARE = re.compile(r"\s{0,40}(?:analysis|commentary)(?=[^\s\w]|[A-Z0-9]|(?s:.)*assistantfinal)|assistantfinal")
"""Start of a Harmony answer whose tokens were dropped: no prose begins so."""


def answer_in(text: str) -> str:
    """Return a text without thoughts and template tokens; empty if it has nothing else."""
    text = _without_starts(text)
    if _HINT.search(text) and not _is_json(text):
        before = text
        text = _Blocks(_of_channels(text)).without()
        if text is not before:
            text = _unwrapped(_without_starts(text), WRAPPERS)
    elif text.startswith("analysis") or "assistantfinal" in text:
        text = _of_channels(text)
    return _unwrapped(_without_ends(text), WRAPPERS[:1])


def _is_json(text: str) -> bool:
    if text.lstrip()[:1] not in {"{", "[", '"'}:
        return False
    try:
        from_json(text)
    except ValueError:
        return False
    return True


# Channels (Harmony)


def _of_channels(text: str) -> str:
    """Return the body of the last final channel; a text without channels as it is.

    Without a final channel all of it was thought, unless it has a tool call, which is for others.
    """
    first = _CHANNEL.search(text)
    if first is not None and not _is_quoted(text, first.start()):
        body = _last_final(text)
        if body is None:
            return text if _CALL_IN_CHANNEL.search(text) else ""
        end = _CHANNEL_END.search(body)
        return body if end is None else body[: end.start()]
    if _BARE.match(text):
        _, final, body = text.rpartition("assistantfinal")
        if final:
            return body
        return text if "to=" in text else ""
    return text


def _last_final(text: str) -> str | None:
    finals = list(_FINAL.finditer(text))
    return text[finals[-1].end() :] if finals else None


def _is_quoted(text: str, at: int) -> bool:
    line_end = text.find("\n", at)
    before = text if line_end < 0 else text[:line_end]
    return any(start <= at < end for start, end in code_spans(before))


# Blocks


class _Blocks:
    """A text while blocks of thought are removed from it, in one pass."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._kept: list[str] = []
        self._at = 0
        self._removed = False
        self._unclosed: set[str] = set()
        """Patterns of closings that the rest of the text does not have."""

    def without(self) -> str:
        """Remove blocks outside of code: leading, repeated, or where a sentence may start."""
        text = self._text
        while (mark := _MARK.search(text, self._at)) is not None:
            if mark["fence"] or mark["tick"]:
                self._keep(code_end(text, mark))
            elif mark["orphan"]:  # its opening was part of the prompt: all before it was thought
                self._kept.clear()
                self._at, self._removed = mark.end(), True
            else:
                self._kept.append(text[self._at : mark.start()])
                self._at = mark.start()
                self._opening(mark)
        self._keep(len(text))
        return "".join(self._kept).lstrip() if self._removed else text

    def _keep(self, end: int) -> None:
        self._kept.append(self._text[self._at : end])
        self._at = end

    def _opening(self, mark: re.Match[str]) -> None:
        opening = _OPEN.match(self._text, mark.start())
        assert opening is not None
        closing = self._closing(opening)
        is_block = self._removed or self._may_start()
        if closing is None:
            if is_block:  # never closed: all the rest is thought
                self._at, self._removed = len(self._text), True
            else:
                self._keep(opening.end())
        elif is_block and not _MENTION.fullmatch(self._text, opening.end(), closing.start()):
            self._at, self._removed = closing.end(), True
        else:
            self._keep(closing.end())

    def _may_start(self) -> bool:
        before = "".join(self._kept[-2:])
        return not before.strip() or _BOUNDARY.search(before[-48:]) is not None

    def _closing(self, opening: re.Match[str]) -> re.Match[str] | None:
        number = next(n for n, name in enumerate(opening.groups()) if name is not None)
        pattern = THOUGHTS[number][1].replace("{name}", re.escape(opening.group(number + 1)))
        if pattern in self._unclosed:
            return None
        found = re.compile(pattern, re.IGNORECASE).search(self._text, opening.end())
        if found is None:
            self._unclosed.add(pattern)
        return found


# Tokens around the answer


def _without_starts(text: str) -> str:
    while True:
        bare = text.lstrip()
        start = next((token for token in STARTS if bare.startswith(token)), None)
        if start is None or (start == "<s>" and "</s>" in bare[:-4]):
            return text
        text = bare[len(start) :].lstrip()


def _without_ends(text: str) -> str:
    while True:
        bare = text.rstrip()
        end = next((token for token in ENDS if bare.endswith(token)), None)
        if end is None or (end == "</s>" and "<s>" in bare):
            return text
        text = bare[: -len(end)].rstrip()


def _unwrapped(text: str, names: tuple[str, ...]) -> str:
    """Return what is between the tags that are around the whole answer."""
    bare = text.strip()
    plain = bare.lower() if bare[:1] == "<" else ""
    for name in names:
        opening, closing = f"<{name}>", f"</{name}>"
        if plain.startswith(opening) and plain.endswith(closing) and plain.count(opening) == 1:
            return bare[len(opening) : -len(closing)].strip()
    return text

"""Audio for tests: bare samples, their forms on the wire, and replies with audio."""

from base64 import b64encode
from typing import Any

from swarm.endpoints.wire.audio import Heard, Sound
from swarm.spec.chat import MediaFile, Message, Reply, Text, Usage
from swarm.testing import Answer
from swarm.testing.fake import STREAM_HEAD, piece, sse

SAMPLES = bytes(range(256)) * 40
TEXT_AND_AUDIO: dict[str, Any] = {"modalities": ["text", "audio"], "audio": {"voice": "Cherry", "format": "wav"}}
FINISHED: dict[str, Any] = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


def made_of(content: bytes, asked: str = "wav") -> MediaFile:
    sound = Sound(asked)
    assert sound.add(Heard(data=b64encode(content).decode()))
    sound.settle()
    assert sound.made is not None
    return sound.made


def audio(**fields: Any) -> Any:
    return {"choices": [{"index": 0, "delta": {"audio": fields}, "finish_reason": None}]}


def words(text: str) -> Any:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}


def streamed(*events: Any) -> Answer:
    return Answer(
        pieces=(STREAM_HEAD, *(piece(sse([event], done=False)) for event in events), piece(sse([])), piece(b""))
    )


def qwen(*, padded: bool = False) -> Answer:
    """Stream words and samples as Qwen-Omni does."""
    half = len(SAMPLES) // 2 + 1
    whole = b64encode(SAMPLES).decode()
    cut = (
        [b64encode(SAMPLES[:half]).decode(), b64encode(SAMPLES[half:]).decode()]
        if padded
        else [whole[:101], whole[101:]]
    )
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 60,
        "completion_tokens_details": {"audio_tokens": 50, "text_tokens": 10},
    }
    sounds = [audio(data=each, id="a1", expires_at=1) for each in cut]
    return streamed(words("Hello "), sounds[0], words("there."), sounds[1], FINISHED, {"choices": [], "usage": usage})


MADE = made_of(SAMPLES)
FILE = MADE.content


def spoken(text: str, made: MediaFile = MADE, **more: Any) -> Reply:
    message = Message(role="assistant", parts=(Text(text=text), made), **more)
    return Reply(message=message, usage=Usage(calls=1, input_tokens=9, output_tokens=60), endpoint="m", model="m")

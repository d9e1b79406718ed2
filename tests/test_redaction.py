import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.base.redaction import MASK, Redactor, looks_like_key, safe_text

SECRET = 'sk-Ab/9+"ö\\z-0123456789'

ESCAPES = (
    "\x1b]52;c;aGk=\x07", "\x1b]8;;http://x\x07y", "\x1b[2J", "\x1b[6n", "\x1b]0;title\x07", "\x1bP1$r\x1b\\", "\x1b_x",
    "\x9b2J", "\x90x\x9c", "a\rb", "a\bb", "\x7f", "\x00", "\u202eabc", "\u2066x\u2069", "\x1b]0;never ends", "\ud800",
)  # fmt: skip


@pytest.mark.parametrize("text", ESCAPES, ids=[f"threat-S24-{n}" for n in range(len(ESCAPES))])
def test_escapes_become_marks(text: str) -> None:
    safe = safe_text(text)
    assert safe != text
    assert all(c.isprintable() or c in "\n\t" for c in safe)


def test_marks_are_visible_and_line_ends_stay() -> None:
    assert safe_text("a\x1b[2J\x9b\x7f\r\nb\tc\x01\n") == "a␛[2J␛␡\nb\tc␁\n"
    assert safe_text("x\u202ey\ud800") == "x\ufffdy\ufffd"


@given(st.text())
def test_safe_text_is_safe_and_safe_again(text: str) -> None:
    safe = safe_text(text)
    assert safe_text(safe) == safe
    safe.encode()
    assert not any(ord(c) < 0x20 and c not in "\n\t" for c in safe)


def forms_of(secret: str) -> list[str]:
    encoded = secret.encode()
    return [
        secret,
        json.dumps(secret),
        json.dumps(secret, ensure_ascii=False),
        json.dumps(secret).replace("/", "\\/"),
        repr(secret),
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        *(base64.b64encode(before + encoded + b"tail").decode() for before in (b"", b"u", b"us")),
        *(base64.urlsafe_b64encode(before + encoded).decode() for before in (b"", b"u", b"us")),
    ]


@pytest.mark.parametrize("form", forms_of(SECRET))
def test_threat_s14_a_secret_is_removed_in_every_form(form: str) -> None:
    clean = Redactor([SECRET]).clean(f"before {form} after")
    assert MASK in clean
    assert clean.startswith("before ")
    assert clean.endswith(" after")
    assert "0123456789" not in clean
    assert base64.b64encode(b"0123456789").decode()[4:-4] not in clean


@given(st.text(min_size=6, alphabet=st.characters(codec="utf-8")), st.text(max_size=20), st.text(max_size=20))
def test_no_secret_outlives_cleaning(secret: str, before: str, after: str) -> None:
    clean = Redactor([secret]).clean(before + secret + after)
    assert secret not in clean.replace(MASK, "\x00")


def test_short_values_stay_and_no_secrets_cost_nothing() -> None:
    assert Redactor(["abcde", ""]).clean("abcde") == "abcde"
    text = "x" * 10
    assert Redactor().clean(text) is text


def test_a_secret_that_holds_another_leaves_nothing_behind() -> None:
    assert Redactor(["secret-one", "secret-one-and-more"]).clean("secret-one-and-more") == MASK


def test_the_line_feed_an_environment_adds_is_no_part_of_a_secret() -> None:
    assert Redactor(["secret-one\n"]).clean("[secret-one]") == f"[{MASK}]"


@pytest.mark.parametrize(
    "text",
    [
        "sk-abcdefghijklmnopqrst123",
        "0123456789abcdef0123456789abcdef",
        "AKIAIOSFODNN7EXAMPLE",
        "Bearer ghp_16C7e42F292c6912E",
    ],
)
def test_keys_look_like_keys(text: str) -> None:
    assert looks_like_key(text)


@pytest.mark.parametrize(
    "text",
    [
        "${MOONSHOT_API_KEY}",
        "http://127.0.0.1:8000/v1",
        "https://api.example.com/v1/projects/my-project-2024/locations",
        "accounts/fireworks/models/llama-v3p1-405b-instruct",
        "meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8",
        "sk-learn-classifier-model-name",
        "none",
    ],
)
def test_names_and_addresses_do_not(text: str) -> None:
    assert not looks_like_key(text)

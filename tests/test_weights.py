"""The choice of a file in a repository."""

import pytest

from swarm.local_models.weights import HubFile, chosen, is_safe, label_of, not_chosen, weights_in

PATHS = (
    "Tiny-Q4_K_M.gguf",
    "Tiny-Q4_K_S.gguf",
    "Tiny-Q8_0.gguf",
    "Tiny-f16.gguf",
    "BF16/Tiny-BF16-00002-of-00002.gguf",
    "BF16/Tiny-BF16-00001-of-00002.gguf",
    "Tiny-IQ3_S-imat.gguf",
    "mmproj-Tiny-Q8_0.gguf",
    "README.md",
)


def files(*paths: str) -> list[HubFile]:
    return [HubFile(path, number + 1) for number, path in enumerate(paths)]


ALL = weights_in(files(*PATHS))


@pytest.mark.parametrize(
    ("choice", "path"),
    [
        ("", "Tiny-Q4_K_M.gguf"),
        ("Q4_K_M", "Tiny-Q4_K_M.gguf"),
        ("q4_k_s", "Tiny-Q4_K_S.gguf"),
        ("Q8_0", "Tiny-Q8_0.gguf"),
        ("F16", "Tiny-f16.gguf"),
        ("BF16", "BF16/Tiny-BF16-00001-of-00002.gguf"),
        ("BF16/Tiny-BF16-00002-of-00002.gguf", "BF16/Tiny-BF16-00001-of-00002.gguf"),
        ("Tiny-f16", "Tiny-f16.gguf"),
        ("Tiny-f16.gguf", "Tiny-f16.gguf"),
        ("IQ3_S", "Tiny-IQ3_S-imat.gguf"),
        ("mmproj-Tiny-Q8_0.gguf", "mmproj-Tiny-Q8_0.gguf"),
        ("Q4", None),
        ("Tiny", None),
        ("Q5_K_M", None),
        (".*", None),
    ],
)
def test_a_choice_is_a_quantization_or_a_file(choice: str, path: str | None) -> None:
    found = chosen(ALL, choice)
    assert (found and found.path) == path


def test_parts_are_one_model_in_their_order() -> None:
    found = chosen(ALL, "BF16")
    assert found is not None
    assert [file.path[-15:-14] for file in found.files] == ["1", "2"]
    assert found.size == 5 + 6


def test_a_model_that_lacks_a_part_is_none() -> None:
    assert weights_in(files("a-00001-of-00003.gguf", "a-00003-of-00003.gguf")) == ()


def test_the_only_model_needs_no_choice() -> None:
    found = chosen(weights_in(files("mmproj-a.gguf", "a-Q2_K.gguf")), "")
    assert found is not None
    assert found.path == "a-Q2_K.gguf"
    assert chosen(weights_in(files("a-Q2_K.gguf", "a-Q8_0.gguf")), "") is None


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("Tiny-Q8_0.gguf", "Q8_0"),
        ("BF16/Tiny-BF16-00001-of-00002.gguf", "BF16"),
        ("Tiny-IQ3_S-imat.gguf", "Tiny-IQ3_S-imat.gguf"),
        ("mmproj-Tiny-Q8_0.gguf", "mmproj-Tiny-Q8_0.gguf"),
    ],
)
def test_a_label_means_its_model_again(path: str, label: str) -> None:
    (weights,) = [each for each in ALL if each.path == path]
    assert label_of(weights, ALL) == label
    assert chosen(ALL, label) is weights


def test_two_of_a_quantization_are_told_apart_by_their_files() -> None:
    both = weights_in(files("a-Q4_K_M.gguf", "a-UD-Q4_K_M.gguf"))
    assert chosen(both, "Q4_K_M") is None
    assert [label_of(each, both) for each in both] == ["a-Q4_K_M.gguf", "UD-Q4_K_M"]


def test_what_there_is_is_listed_with_sizes() -> None:
    several = weights_in([HubFile("a-Q2_K.gguf", 1_500_000_000), HubFile("a-Q8_0.gguf", 3_000_000_000)])
    first, *rest = not_chosen(several, "o/r", "").problems
    assert str(first) == "o/r has 2 models, and not exactly one Q4_K_M; choose one:"
    assert [str(each) for each in rest] == ["o/r:Q2_K (1,500 MB)", "o/r:Q8_0 (3,000 MB)"]
    assert "o/r has no `Q5`" in str(not_chosen(several, "o/r", "Q5"))
    assert "`a` may mean 2 models of o/r" in str(
        not_chosen(weights_in(files("a-a-b-1.gguf", "a-a-c-1.gguf")), "o/r", "a")
    )
    assert "no complete GGUF file" in str(not_chosen((), "o/r", ""))
    many = weights_in(files(*(f"a-{n}.gguf" for n in range(50))))
    assert str(not_chosen(many, "o/r", "").problems[-1]) == "and 10 more"


@pytest.mark.parametrize(
    "path",
    [
        "../x.gguf",
        "/x.gguf",
        "a//x.gguf",
        ".x.gguf",
        "a/./x.gguf",
        "a\\x.gguf",
        "x\n.gguf",
        "x\x1b.gguf",
        "-x.gguf",
        "~x",
        "C:x.gguf",
        "ü.gguf",
        "x" * 201,
        "x ",
        "con.",
        "",
    ],
)
def test_a_name_that_is_no_plain_path_is_no_file(path: str) -> None:
    assert not is_safe(path)
    assert weights_in([HubFile(path, 1)]) == ()


@pytest.mark.parametrize("path", ["a/b/x (1) [no].gguf".replace("[no]", "+,="), "Model.i1-Q4_K_M.gguf", "_x.gguf"])
def test_plain_names_are_safe(path: str) -> None:
    assert is_safe(path)

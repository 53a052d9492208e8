"""YAML put together from events means what the usual loader says it means."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.inventory.formats.trees import read_json, read_trees

TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_characters="\x7f\x85\xa0"), max_size=12)
VALUES = st.recursive(
    TEXTS | st.booleans() | st.none() | st.integers(-(10**9), 10**9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS.filter(bool), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(
    documents=st.lists(st.dictionaries(TEXTS.filter(lambda key: key and key != "<<"), VALUES, min_size=1), max_size=4)
)
def test_a_stream_of_documents_is_read_as_the_usual_loader_reads_it(documents: list[dict[str, object]]) -> None:
    text = yaml.safe_dump_all(documents, explicit_start=True, allow_unicode=True)

    assert [tree.value for tree in read_trees(text, "f") if not tree.problem] == documents


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=200) | st.text("{}[]:,-&*!|>'\"#%@`? \n\tab<", max_size=80))
def test_no_text_does_more_than_be_told(text: str) -> None:
    for tree in read_trees(text, "f"):
        assert tree.value is None or not tree.problem


def test_a_header_of_comments_with_ends_of_another_system_is_read_in_passing() -> None:
    header = "# exported by the inventory\r\n" * 200

    (tree,) = read_trees(f"{header}kind: List\r\n", "f")
    assert tree.value == {"kind": "List"}
    assert list(read_trees(f"---\r\n{header}---\r\n", "f")) == []


@pytest.mark.parametrize("text", ['{"' + '\\"' * 200_000, "{" + "/*" * 200_000, '{"a": 1, "' + "\\"])
def test_what_is_not_closed_in_json_is_told_at_once(text: str) -> None:
    assert "not JSON" in read_json(text, "f", comments=True).problem


def test_a_key_that_is_there_twice_is_found_among_many() -> None:
    names = ", ".join(f'"k{number}": 1' for number in range(100_000))

    assert "k99999" in read_json(f'{{{names}, "k99999": 2}}', "f").problem


def test_aliases_that_stand_for_too_much_are_refused_however_they_are_nested() -> None:
    text = "a: &a {b: 1}\nl1: &b [" + "*a, " * 400 + "]\nl2: [" + "*b, " * 400 + "]\n"

    (tree,) = read_trees(text, "f")
    assert "aliases stand for more than 100,000 values" in tree.problem


def test_lines_are_those_of_the_file() -> None:
    trees = list(read_trees("# one\n\na: 1\n---\n\n# two\nb: {c: [{d: 1}]}\n", "f"))

    assert [tree.place for tree in trees] == ["f:3", "f:7"]
    assert trees[1].place_of(trees[1].value["b"]) == "f:7"


def test_merge_keys_fill_in_what_a_mapping_does_not_say() -> None:
    (tree,) = read_trees("x: &x {a: 1, b: 2}\ny: {<<: *x, b: 3}\nz: {<<: [*x, {c: 4}]}\n", "f")

    assert tree.value["y"] == {"a": 1, "b": 3}
    assert tree.value["z"] == {"a": 1, "b": 2, "c": 4}


def test_comments_in_json_are_passed_over_where_editors_allow_them() -> None:
    text = '{\n// one\n"a": "http://x // y", /* two\n*/ "b": [1, 2,],\n}\n'

    assert read_json(text, "f").problem.startswith("f:2: not JSON")
    assert read_json(text, "f", comments=True).value == {"a": "http://x // y", "b": [1, 2]}

"""What to cite."""

from __future__ import annotations

import pytest

import isthmus as ist
from isthmus import papers


@pytest.mark.parametrize("name", ist.RECIPES)
def test_every_kind_has_an_entry(name: str) -> None:
    said = ist.citation(ist.Autoencoder(name))
    assert said == ist.citation(name) == ist.citation(ist.Kind(name)) == repr(said)
    assert said.count("{") == said.count("}")
    assert f"year = {{{ist.RECIPES[name].paper.year}}}" in said
    assert "@software{isthmus," in said


def test_parts_of_ones_own_cite_the_library_alone() -> None:
    assert ist.citation(ist.Autoencoder(ist.Parts())).startswith("@software{isthmus,")


def test_anything_else_is_refused() -> None:
    with pytest.raises(ist.InputError, match="citation: model must be an Autoencoder"):
        ist.citation(3)


def test_a_paper_in_words() -> None:
    authors = ("A B", "A B and C D and E F", "A B and C D and E F and G H")
    one, three, many = (ist.Paper(names, 2000, "On the Sea", "a journal") for names in authors)
    assert [str(paper) for paper in (one, three, many)] == [
        "B 2000, On the Sea",
        "B, D & F 2000, On the Sea",
        "B et al. 2000, On the Sea",
    ]
    assert one.key == "b2000sea"


def test_small_words_belong_to_a_family_name() -> None:
    paper = papers.OORD_2017
    assert str(paper).startswith("van den Oord, Vinyals & Kavukcuoglu 2017")
    assert paper.key == "oord2017neural"

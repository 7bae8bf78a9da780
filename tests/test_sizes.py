"""Sizes, to the byte, of small made inputs: a change of the encoder that costs or saves space shows here."""

from __future__ import annotations

from bench import sizes


def test_sizes_are_those_of_the_table() -> None:
    assert sizes.check() == []

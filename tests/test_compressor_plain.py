"""Blocks that a model does not pay for: never much larger than lzma makes them, and exact like all others."""

from __future__ import annotations

import lzma

import numpy as np
import pandas as pd
import pytest
from test_compressor import QUICK

import isthmus as ist
from isthmus.estimators.compressor_levels import length_of
from isthmus.estimators.compressor_plain import HEAD, PIECE, PIECES, PLAIN, ints_of, smaller, start_of

pytest.importorskip("constriction")

MUCH = 2**62


@pytest.mark.parametrize("columns", [True, False])
@pytest.mark.parametrize("reach", [1, 2**8, 2**40, 2**63])
def test_whole_numbers_come_back(columns, reach):
    draw = np.random.default_rng(0)
    ints = draw.integers(-reach, reach, (40, 3), dtype=np.int64)
    ints[:, 1], ints[0, 0], ints[1, 0] = 7, -(2**63), 2**63 - 1
    packed = smaller(ints, MUCH, columns)
    assert packed is not None
    assert np.array_equal(ints_of(packed, ints.shape, columns), ints)
    assert smaller(ints, len(packed) + len(PLAIN), columns) is None
    assert smaller(ints, len(packed) + len(PLAIN) + 1, columns) == packed


def test_what_is_cut_or_claims_too_much_is_told():
    packed = smaller(np.arange(50), MUCH, False)
    assert packed is not None
    for wrong, shape in ((packed[:5], (50,)), (packed[:-3], (50,)), (packed, (49,)), (packed, (51,)),
                         (HEAD.pack(0, 3) + packed[HEAD.size :], (50,))):  # fmt: skip
        with pytest.raises(ist.FileFormatError):
            ints_of(wrong, shape, False)


def test_large_blocks_that_do_not_repeat_are_not_tried_in_full(monkeypatch):
    tried = []
    whole = lzma.compress

    def counting(body, *rest, **more):
        tried.append(len(body))
        return whole(body, *rest, **more)

    monkeypatch.setattr(lzma, "compress", counting)
    noise = np.random.default_rng(0).integers(0, 256, 5 * PIECES * PIECE)
    assert smaller(noise, len(noise), False) is None
    assert tried == [PIECES * PIECE]


def test_no_block_of_the_model_begins_so():
    assert all(not length_of(bytes(length)).startswith(PLAIN) for length in (*range(2000), 2**14, 2**21))
    assert start_of(PLAIN + b"a") == 2
    assert start_of(length_of(b"") + b"a") == 0


def test_what_comes_again_word_for_word_is_as_small_as_by_lzma():
    draw = np.random.default_rng(0)
    words = draw.normal(size=60)
    series = np.tile(words[draw.integers(0, 60, 500)], 8)
    model = ist.Compressor("series", **QUICK).fit(series)
    packed = model.compress(series)
    assert len(packed) < 1.2 * len(lzma.compress(series.tobytes())) + 500
    assert model.decompress(packed).tobytes() == series.tobytes()


def test_a_table_unlike_the_fit_is_as_small_as_by_lzma():
    draw = np.random.default_rng(0)
    model = ist.Compressor(**QUICK).fit(pd.DataFrame({"a": draw.integers(0, 9, 300), "b": draw.integers(0, 9, 300)}))
    odd = pd.DataFrame({"a": np.tile(draw.integers(0, 2**60, 40), 30), "b": np.tile(draw.integers(0, 2**60, 40), 30)})
    packed = model.compress(odd)
    pd.testing.assert_frame_equal(model.decompress(packed), odd)
    assert len(packed) < 1.5 * len(lzma.compress(odd.to_numpy().T.tobytes())) + 500

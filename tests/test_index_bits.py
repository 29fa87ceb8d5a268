"""Binary codes in words: packing, unpacking, distances, and the bits that index a table together."""

import numpy as np
import pytest

from isthmus.errors import InputError
from isthmus.index.bits import BLOCK, TOGETHER, distances, packed, unpacked, word_of, words_of
from isthmus.index.substrings import dealt, sample_of

LENGTHS = (8, 9, 16, 17, 32, 33, 64, 65, 128, 300, 1024)


@pytest.mark.parametrize("bits", LENGTHS)
def test_packing_keeps_every_bit_and_its_place(bits):
    given = np.random.default_rng(bits).random((37, bits)) < 0.5
    codes = packed(given)
    assert codes.shape == (37, words_of(bits))
    assert codes.dtype == word_of(bits)
    assert codes.flags.c_contiguous
    np.testing.assert_array_equal(unpacked(codes, bits), given)
    octets = np.packbits(given, axis=1, bitorder="little")
    on_disk = codes.astype(codes.dtype.newbyteorder("<")).view(np.uint8)
    np.testing.assert_array_equal(on_disk[:, : octets.shape[1]], octets)
    assert not on_disk[:, octets.shape[1] :].any()


@pytest.mark.parametrize("bits", LENGTHS)
def test_bit_i_is_bit_i_of_the_words(bits):
    width = 8 * word_of(bits).itemsize
    codes = packed(np.eye(bits, dtype=bool))
    for bit in range(bits):
        expected = [0] * words_of(bits)
        expected[bit // width] = 1 << (bit % width)
        assert codes[bit].tolist() == expected


def test_no_rows_pack_and_unpack():
    assert packed(np.empty((0, 40), bool)).shape == (0, 1)
    assert unpacked(np.empty((0, 2), np.uint64), 70).shape == (0, 70)


@pytest.mark.parametrize("bits", LENGTHS)
def test_distances_count_the_bits_that_differ(bits):
    random = np.random.default_rng(bits)
    some, others = random.random((TOGETHER + 3, bits)) < 0.5, random.random((50, bits)) < 0.5
    found = distances(packed(some), packed(others))
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, (some[:, None] != others).sum(2))
    assert distances(packed(np.zeros((1, bits), bool)), packed(np.ones((1, bits), bool))) == bits


def test_distances_of_more_codes_than_a_block():
    codes = np.random.default_rng(0).integers(0, 1 << 16, (BLOCK + 5, 1), np.uint16)
    found = distances(codes[-2:], codes)
    np.testing.assert_array_equal(found, np.bitwise_count(codes[-2:] ^ codes[:, 0]))


@pytest.mark.parametrize("bits", [7, 1025, 0, -8, 16.0, True, None])
def test_lengths_that_no_code_has_are_refused(bits):
    with pytest.raises(InputError, match=r"bits must be a whole number from 8 to 1,024; got "):
        word_of(bits)


@pytest.mark.parametrize("tables", [1, 3, 7])
def test_every_bit_that_varies_is_dealt_once(tables):
    groups = dealt(packed(np.random.default_rng(1).random((500, 40)) < 0.4), 40, tables)
    assert len(groups) == tables
    assert sorted(np.concatenate(groups).tolist()) == list(range(40))
    lengths = [len(group) for group in groups]
    assert max(lengths) - min(lengths) <= 1
    assert lengths == sorted(lengths, reverse=True)


def test_bits_that_say_the_same_go_to_different_tables():
    several = np.random.default_rng(2).random((2000, 8)) < 0.5
    groups = dealt(packed(np.repeat(several, 4, axis=1)), 32, 4)
    for group in groups:
        assert sorted(group // 4) == list(range(8))


def test_bits_that_never_vary_are_in_no_table():
    given = np.random.default_rng(3).random((300, 24)) < 0.5
    given[:, 5], given[:, 17] = True, False
    assert sorted(np.concatenate(dealt(packed(given), 24, 2)).tolist()) == [i for i in range(24) if i not in (5, 17)]
    assert dealt(packed(np.ones((10, 24), bool)), 24, 3) == []


def test_a_sample_comes_from_everywhere():
    codes = np.arange(1000, dtype=np.uint16)[:, None]
    assert sample_of(codes, 5)[:, 0].tolist() == [0, 249, 499, 749, 999]
    assert len(sample_of(codes, 2000)) == 1000

import google_crc32c
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from loganalyze.ingest import crc32c


@st.composite
def variants(draw: st.DrawFn) -> tuple[np.ndarray, list[int]]:
    """Strings of one length, and the positions at which they may differ."""
    length = draw(st.integers(1, crc32c.LONGEST))
    positions = draw(st.lists(st.integers(0, length - 1), unique=True, max_size=20))
    seed = np.random.default_rng(draw(st.integers(0, 2**32)))
    rows = np.repeat(seed.integers(0, 256, (1, length), dtype=np.uint8), 5, axis=0)
    rows[:, positions] = seed.integers(0, 256, (5, len(positions)), dtype=np.uint8)
    return rows, positions


@given(variants())
def test_checksums_of_variants_are_those_of_the_compiled_library(case: tuple) -> None:
    rows, positions = case
    columns = [(position, rows[:, position]) for position in positions]
    sums = crc32c.of_variants(rows[0].tobytes(), columns, len(rows))
    assert sums.tolist() == [google_crc32c.value(row.tobytes()) for row in rows]


def test_no_bytes_and_no_variants() -> None:
    assert crc32c.of_variants(b"abc", [], 2).tolist() == [google_crc32c.value(b"abc")] * 2
    assert crc32c.of_variants(b"abc", [(1, np.zeros(0, np.uint8))], 0).tolist() == []
    assert crc32c.of_bytes(b"") == 0


@given(st.binary(max_size=100), st.binary(max_size=100))
def test_a_checksum_is_continued(first: bytes, second: bytes) -> None:
    assert crc32c.of_bytes(second, crc32c.of_bytes(first)) == google_crc32c.value(first + second)


def test_masked_is_the_same_for_numbers_and_arrays() -> None:
    sums = np.array([0, 1, 0x12345678, 0xFFFFFFFF], dtype=np.uint32)
    assert crc32c.masked(sums).tolist() == [crc32c.masked(value) for value in sums.tolist()]

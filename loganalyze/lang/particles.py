"""Korean particles, which depend on the sound before them: 은/는, 이/가, 을/를, 과/와, 으로/로."""

from __future__ import annotations

# After a consonant -> after a vowel.
PAIRS = {"은": "는", "이": "가", "을": "를", "과": "와", "으로": "로", "이라는": "라는"}
HANGUL = (0xAC00, 0xD7A3)
FINALS = 28  # forms of a syllable by its final consonant; the first has none
RIEUL = 8  # ㄹ, after which 으로 is 로
# How digits are read: 영 일 이 삼 사 오 육 칠 팔 구.
DIGIT_FINALS = {"0": 21, "1": RIEUL, "3": 16, "6": 1, "7": RIEUL, "8": RIEUL}
# The letters and endings of foreign words that are read with a final consonant.
LETTER_FINALS = {"l": RIEUL, "m": 16, "n": 4, "r": RIEUL, "p": 17, "k": 1, "b": 17}
UPPER_FINALS = {"L": RIEUL, "M": 16, "N": 4, "R": RIEUL}


def particle(before: str, after_consonant: str) -> str:
    """Return the form of a particle that follows `before`, given the form after a consonant."""
    final = _final(before)
    if not final or (after_consonant == "으로" and final == RIEUL):
        return PAIRS[after_consonant]
    return after_consonant


def _final(text: str) -> int:
    """Return the final consonant of the last sound, 0 for none; what closes a quotation is not heard."""
    letters = text.rstrip("\"'`)]} .,")
    last = letters[-1:]
    if last and HANGUL[0] <= ord(last) <= HANGUL[1]:
        return (ord(last) - HANGUL[0]) % FINALS
    if letters[-2:].isupper():
        return UPPER_FINALS.get(last, 0)
    return DIGIT_FINALS.get(last) or LETTER_FINALS.get(last.lower(), 0)

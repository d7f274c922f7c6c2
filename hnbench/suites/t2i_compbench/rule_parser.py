"""The parser `hnbench-rules`: word lists and rules for the fixed prompts of T2I-CompBench.

It knows only the vocabulary of these prompts, and finds what the scorers need: noun chunks, nouns
and adjectives. Its conventions are spaCy's: a chunk begins with its determiner and ends with its
noun, colours joined by "and" stay in one chunk, and each pronoun is a chunk.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

NAME, VERSION = "hnbench-rules", "2"

_TOKEN = re.compile(r"'s|\w+(?:[-:]\w+)*|[^\w\s]")

_CLASSES = {
    "DET": "a an the this these each every",
    "NUM": "one two three four five six seven eight nine ten many",
    "POSS": "its their his her 's",
    "PRON": "it he she they him them which that",
    "CCONJ": "and or",
    "PREP": (
        """with at on in of to for from by near above below beneath under over beside between
        behind against across along around through into onto inside outside past like as while
        where up down out even than"""
    ),
    "ADV": (
        """most next together gracefully lazily ominously deliciously effortlessly firmly neatly
        freshly seamlessly otherwise both away only"""
    ),
    "AUX": "is are was were be has have had",
    "ADJ": (
        """ancient angular adventurous aerodynamic artistic beautiful beige beloved big billowing
        black blank blazing blooming blue bold bravest bright brilliant brown bulky bumpy
        bustling busy calm celestial checkered chilled chilly choppy circular clean cold
        colorful comfortable comforting compact conical contrasting cool cozy cracked crashing
        crisp crispy crunchy crystal-clear cubic curious curved curvy cushioned cylindrical
        daily damp dappled dark deep defining delectable delicate delicious detailed
        diamond-studded different dim distant dizzying dramatic dry dull dusty dynamic eager
        early earthy electronic elegant emotional empty endless enduring fashionable favorite
        fiery flickering floral flowing fluffy fluttering fragrant fresh full furry fuzzy gentle
        geometric gleaming glittering glossy glowing gnarled gold golden gooey graceful grand
        gray green grey hard hardworking healthful heavy high hot human icy injured intricate
        inviting iridescent jagged juicy large last latest long low lumpy lush luxurious
        majestic maternal matching matte melted metallic modern multicolored murky narrow
        natural nearby necessary oblong old opaque open orange ornate other oval peaceful
        peeling pentagonal perfect picturesque pillowy pink plain plump plush polished powerful
        precious priceless prickly protruding pungent purple pyramidal quiet raked ready
        rectangular red reedy refreshing rich ripe rippled rocky rolling romantic rough
        rough-edged round rounded rugged rusted rusty same satin savory seasonal serene sharp
        sheer shimmering shiny short silky silver sleek slimy sloped slushy small smooth soft
        soothing sour sparkling spherical spicy spiky square stainless sticky straight
        streamlined striking striped stunning sturdy stylish sugary sweet swirling tall tan tart
        tasty tech-savvy tender textured thick thorny thrilling tie-dye tiled timeless tiny
        tired towering translucent treacherous triangular twisted unique unlikely urban useful
        vibrant vintage visible warm weathered welcoming wet white whitish winding wooden yellow"""
    ),
    "VERB": (
        """lay lying sat stood shone grew flew fell held hidden told drove sped sank spun swam hung
        kept led left lit made met slept strode woke wrote provide provided blew flash reads
        sits shines holds provided kept mounted standing hanging leaning resting hovering
        lapping reaching bending creating casting"""
    ),
}
_AMBIGUOUS = {
    "VERB_OR_NOUN": (
        """attract bake beat boil burst cast cook cut decorate display features hang hold
        illuminate jot keep measure mix nap nibble painting park perch pound release rest rose
        serve shape sit slice spread stir write"""
    ),
    "NOUN_LIKE_VERB": (
        """bed bread building ceiling cutting dining duckling earring earrings engineering flooring
        living magnifying measuring meeting morning opening painting parking playing reading
        reed ring rolling sapling seating sled steering stitching storytelling string swimming
        vending watering wedding wing baking bowling"""
    ),
}
_VERB_OR_NOUN = frozenset(_AMBIGUOUS["VERB_OR_NOUN"].split())
"""Words that are verbs between a noun and an object, and nouns elsewhere."""
_NOUN_LIKE_VERB = frozenset(_AMBIGUOUS["NOUN_LIKE_VERB"].split())
"""Nouns that end like a participle."""
_CLASS_OF = {word: name for name, words in _CLASSES.items() for word in words.split()}
_INSIDE = {"DET", "NUM", "POSS", "ADJ", "NOUN"}
"""The parts of speech inside of a noun chunk."""


@dataclass(frozen=True)
class Token:
    """A word or punctuation mark, its beginning in the text, and its part of speech: NOUN, ADJ,
    VERB, ... or PUNCT.
    """

    text: str
    start: int
    pos: str

    @property
    def end(self) -> int:
        """The end of the word in the text."""
        return self.start + len(self.text)


def tokens(text: str) -> list[Token]:
    """The words and punctuation marks of a text with their parts of speech."""
    found = [(match.group(), match.start()) for match in _TOKEN.finditer(text)]
    guesses = [_guess(word.lower()) for word, _ in found]
    for at, (word, _) in enumerate(found):
        guesses[at] = _in_context(word.lower(), guesses, at)
    _promote(guesses)
    return [Token(word, start, pos) for (word, start), pos in zip(found, guesses, strict=True)]


def noun_chunks(text: str) -> list[tuple[int, int]]:
    """The beginnings and ends of the text's noun chunks, in order."""
    words = tokens(text)
    chunks, at = list[tuple[int, int]](), 0
    while at < len(words):
        if words[at].pos == "PRON":
            chunks.append((words[at].start, words[at].end))
        end = _chunk_end(words, at)
        if end > at:
            chunks.append((words[at].start, words[end - 1].end))
        at = max(end, at + 1)
    return chunks


def _guess(word: str) -> str:
    if word in _CLASS_OF:
        return _CLASS_OF[word]
    if not word[0].isalnum():
        return "PUNCT"
    if word not in _NOUN_LIKE_VERB and word.endswith(("ed", "ing")):
        return "VERB"
    return "NOUN"


def _in_context(word: str, guesses: list[str], at: int) -> str:
    """The part of speech of a word, given its neighbours: for some words, the guess from the word
    alone is wrong.
    """
    before = guesses[at - 1] if at else ""
    after = guesses[at + 1] if at + 1 < len(guesses) else ""
    if before == "DET" and word in _AFTER_DETERMINER:
        return _AFTER_DETERMINER[word]
    if _governs(word, before, after):
        return "VERB"
    if guesses[at] == "VERB" and _qualifies(word, before, after):
        return "ADJ"
    return guesses[at]


_AFTER_DETERMINER = {"left": "NOUN", "otherwise": "ADJ", "only": "ADJ"}


def _governs(word: str, before: str, after: str) -> bool:
    """Whether a word that can be a noun or a verb has an object: "the box holds a book"."""
    objects = {"DET", "PREP", "POSS"} | ({"ADJ"} if word == "features" else set())
    return word in _VERB_OR_NOUN and before in {"NOUN", "PUNCT", "PREP"} and after in objects


def _qualifies(word: str, before: str, after: str) -> bool:
    """Whether a participle stands before its noun: "the broken vase", "a moss covered stone"."""
    starts = {"DET", "ADJ", "POSS"} | ({"NOUN"} if word in {"covered", "tiled"} else set())
    return word.endswith(("ed", "ing")) and before in starts and after in {"NOUN", "ADJ"}


def _promote(guesses: list[str]) -> None:
    """Turn an adjective into a noun if it ends a group that a determiner begins: "the rough
    square", "the translucent oval".
    """
    for at, pos in enumerate(guesses):
        after = guesses[at + 1] if at + 1 < len(guesses) else ""
        if pos != "ADJ" or after in {"NOUN", "ADJ", "NUM"}:
            continue
        first = at
        while first and guesses[first] == "ADJ":
            first -= 1
        joined = after == "PUNCT" or (
            after == "CCONJ" and at + 2 < len(guesses) and guesses[at + 2] in {"ADJ", "NOUN"}
        )
        last = at >= len(guesses) - 2
        if guesses[first] in {"DET", "POSS"} and (last or not joined):
            guesses[at] = "NOUN"


def _chunk_end(words: list[Token], start: int) -> int:
    """The index after the chunk that begins at `start`; `start` itself if no chunk begins there."""
    end, at = start, start
    while at < len(words):
        pos = words[at].pos
        if pos in {"DET", "NUM"} and at > start and words[at - 1].pos != "DET":
            break
        if pos == "POSS" and at > start and words[at].text != "'s":
            break
        if pos in _INSIDE:
            end = at + 1 if pos == "NOUN" else end
        elif not _joins(words, at, end):
            break
        at += 1
    return end


def _joins(words: list[Token], at: int, end: int) -> bool:
    """Whether an "and" or a comma joins two adjectives of one noun; after a comma, the noun itself
    may follow.
    """
    if not 0 < at < len(words) - 1 or end == at or words[at - 1].pos != "ADJ":
        return False
    return words[at + 1].pos in {"and": {"ADJ"}, ",": {"ADJ", "NOUN"}}.get(words[at].text, set())

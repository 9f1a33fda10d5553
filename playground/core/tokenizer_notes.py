"""What each stage of a tokenizer does, in a sentence, by its name in the tokenizers library."""

from __future__ import annotations

from collections.abc import Mapping

_NOTES: Mapping[str, str] = {
    # how a word becomes tokens
    "BPE": "starts from characters or bytes and joins neighbours by a ranked list of merges",
    "Unigram": "of all ways to cut a word takes the likeliest, each token with its own probability",
    "WordPiece": "takes the longest token that a word begins with, then goes on with the rest",
    "WordLevel": "has one token for each whole word that it knows",
    # normalizers
    "NFC": "writes letter and accent as one character where there is one",
    "NFD": "takes accents off their letters, as characters of their own",
    "NFKC": "as NFC, and replaces look-alikes such as ﬁ or ① by plain characters",
    "NFKD": "as NFD, and replaces look-alikes such as ﬁ or ① by plain characters",
    "Lowercase": "makes all letters small: what was a capital is lost",
    "StripAccents": "drops accents that stand as characters of their own",
    "Strip": "drops spaces at the ends",
    "Replace": "replaces one text by another",
    "Prepend": "puts a text before the text",
    "Precompiled": "a table of replacements made by SentencePiece, mostly NFKC",
    "BertNormalizer": "cleans control characters, sets Chinese characters apart, lowers, unaccents",
    "Nmt": "drops control characters, makes odd spaces plain",
    # pre-tokenizers
    "ByteLevel": "writes each byte as one visible character (a space is Ġ), so every text has "
                 "tokens and none is unknown",
    "Split": "cuts the text at a pattern",
    "Metaspace": "writes a space as ▁ and cuts before it",
    "Whitespace": "cuts at spaces, and between words and punctuation",
    "WhitespaceSplit": "cuts at spaces",
    "BertPreTokenizer": "cuts at spaces and around each punctuation mark",
    "Punctuation": "cuts around punctuation",
    "Digits": "cuts between digits and other characters",
    "UnicodeScripts": "cuts where one script ends and another begins",
    "CharDelimiterSplit": "cuts at one character",
    "FixedLength": "cuts into parts of equal length",
}
_DECODERS: Mapping[str, str] = {
    "ByteLevel": "turns each visible character back into its byte (Ġ into a space)",
    "ByteFallback": "joins tokens such as <0xE4> into the characters whose bytes they are",
    "Fuse": "joins all tokens",
    "Metaspace": "turns ▁ back into a space",
    "WordPiece": "joins the parts of a word, written with ##",
}


def about(name: str, decodes: bool = False) -> str:
    """One sentence without a full stop; empty for a stage that we do not know."""
    return _DECODERS.get(name, _NOTES.get(name, "")) if decodes else _NOTES.get(name, "")

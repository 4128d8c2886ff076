"""Languages: the English sentences of this package in others.

Checks and causes write plain English. The renderers translate what they show, once, by a catalogue whose keys
are the sentences with their numbers and names left open (`skeleton`). What the catalogue does not know, such
as a sentence of another package's check, stays English. JSON is English in every language.

A language is a folder of TOML files beside this one: ``findings``, ``causes``, ``report``, ``cli``
(sentence -> sentence) and ``explanations`` (id -> section -> text). ``scripts/catalogue`` says what
it lacks.
"""

ENGLISH = "en"
LANGUAGES = (ENGLISH, "ko")

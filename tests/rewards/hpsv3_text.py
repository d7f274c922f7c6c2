"""A stand-in, in words of our own, for the file with the text that HPSv3 reads."""

from __future__ import annotations

INSTRUCTION = """
Look at the picture, and say how much most people would like to have it on a wall.

First the picture alone:
- Are edges as sharp as such a thing has them, and are shadows where the light asks for them?
- Do hands, wheels and letters have the shape that they have in the world?
- Would somebody look at it twice?

Then the picture beside its words:
- Is each thing that the words name there, as often as they say, and in the right place?
- Does nothing contradict the words?

The words: {text_prompt}

"""
RATED = """
The picture's mark, which is read here: <|Reward|>

that is all
"""
TEXT = INSTRUCTION + RATED

SOURCE = f'''"""A file that is read and never run."""

import no_such_module

INSTRUCTION = "an older one"
INSTRUCTION = """{INSTRUCTION}"""
OTHER = INSTRUCTION.upper()
prompt_with_special_token = """{RATED}"""
prompt_without_special_token = """
The picture's mark:
"""
raise RuntimeError("the file was run")


class Collator:
    INSTRUCTION = "one of a class"

    def text(self):
        prompt_with_special_token = "one of a function"
        return prompt_with_special_token
'''
"""The file: a Python module with two constants that make the text, and others."""

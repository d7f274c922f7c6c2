"""A stand-in, in words of our own, for the file with the text that HPSv3 reads."""

from __future__ import annotations

INSTRUCTION = """
Look at the picture, and say how much most people would like to have it on a wall.

First the picture alone:
- Are edges as sharp as such a thing has them, and are shadows where the light asks for them?
- Do hands, wheels and letters have the shape that they have in the world, and the right number?
- Is there something to see in the far corners, or only a smear that stands for grass, hair or sky?
- Do the colours belong together, as they do in a room that somebody has lived in for a long time?
- Does the eye know where to begin, and does it find a way from there to the rest?
- Would somebody who walks past it stop, and look at it twice?
- A picture that would hurt or shame somebody gets the lowest mark, whatever else there is in it.

Then the picture beside its words:
- Is each thing that the words name there, as often as they say, and doing what they say?
- Is it to the left, to the right, above or below the other things, where the words put it?
- Has each thing its own colour, its own stuff and its own size, and not those of its neighbour?
- If the words ask for an oil painting, a woodcut or a photograph, is it one?
- Is the place around the things one in which they could be, at that hour and in that season?
- Does nothing that was added contradict the words, and is what they are about the main thing?

Small faults in small things may be forgiven. A fault in what the words are about may not, and a
beautiful picture of something else is worth less than a plain one of the thing that was asked for.
Read the words to their end before the mark is given, because the last ones count like the first.
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

"""A stand-in, in words of our own, for the file with the text that HPSv3 reads."""

from __future__ import annotations

INSTRUCTION = """
This is a stand-in for a long text, so that a prompt is read near its end, far from the picture.

A tram leaves the harbour at six, when the fish market closes:
- The first stop is *Old Customs*, where the driver buys two rolls and reads a page of his novel.
- The second is **Mill Bridge**; in winter its rails are swept by a man with a broom of birch.
- At the third, between the school and the bakery, forty children get on, and none of them sits.
- The fourth has no name: somebody stole the sign in 1987, and people like it better without.
- From there the line climbs in nine curves, past walls with ivy, cats and a piano in the open.
- Near the top it waits for the tram that comes down. They have met here 200,000 times (or more).

It comes back by another way:
- The seventh stop is asked for with a bell, which rings in G; the conductor hums a D.
- At the eighth the doors open on the left. Strangers wait on the right, and are called round.
- "Mind the step!" is painted on the step; it was repainted in green, then in yellow, then in green.
- The ninth and the tenth are so close to each other that one can walk it faster; nobody ever does.
- If it rains, the windows fog up, and letters that children drew a week before can be read again.
- In the depot 12 lamps are on all night, because the thirteenth is broken and no one knows why.

The fare is a coin, the same one since the beginning, though it buys nothing else by now. Whoever
has none may sing, recite the stops backwards, or promise to pay tomorrow, which most people keep.
The line has been closed three times, and each time it ran the next morning as if it had not heard.
Seen from the hill: {text_prompt}

"""
RATED = """
The tram's number, which is rated: <|Reward|>

last stop
"""
TEXT = INSTRUCTION + RATED

SOURCE = f'''"""A file that is read and never run."""

import no_such_module

INSTRUCTION = "an older one"
INSTRUCTION = """{INSTRUCTION}"""
OTHER = INSTRUCTION.upper()
prompt_with_special_token = """{RATED}"""
prompt_without_special_token = """
The tram's number:
"""
raise RuntimeError("the file was run")


class Collator:
    INSTRUCTION = "one of a class"

    def text(self):
        prompt_with_special_token = "one of a function"
        return prompt_with_special_token
'''
"""The file: a Python module with two constants that make the text, and others."""

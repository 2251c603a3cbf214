"""What the fake model does for its clients, as rules of the fake engine's script.

An errand is a conversation: every turn of the model is a Step, said when the last turn of the prompt holds `when`.
The same steps make a script for any client and any dialect.
"""

from dataclasses import dataclass

from dialects import said

ASIDE = "Nothing of note."  # to requests that are none of the errand: titles, summaries


@dataclass(frozen=True)
class Step:
    when: str
    text: str = ""
    calls: tuple = ()  # of ("shell", command) and ("read", path)

    def say(self, client, place, dialect):
        return said(dialect, self.text, [getattr(client, tool)(place, argument) for tool, argument in self.calls])


# The file's content stands in no prompt before it was read.
WRITE_AND_READ = (
    Step("errand-one", "I write it down.",
         (("shell", "printf 'amber-%s\\n' 7431 > notes/marker.txt && echo is-written"),)),
    Step("is-written", "I read it back.", (("read", "notes/marker.txt"),)),
    Step("amber-7431", "The marker holds amber-7431."),
)
TWO_AT_ONCE = (
    Step("errand-two", "Both at once.", (("shell", "printf 'l%s\\n' eft > left.txt && echo left-is-done"),
                                         ("shell", "printf 'r%s\\n' ight > right.txt && echo right-is-done"))),
    Step("(left|right)-is-done", "Left and right are there."),
)
FAILS = (
    Step("errand-three", "I look for it.", (("shell", "cat no-such-file.txt"),)),
    Step("No such file", "There is no such file."),
)
RESUMED = (
    Step("errand-four", "Once more.",
         (("shell", "printf 'teal-%s\\n' 902 >> notes/marker.txt && cat notes/marker.txt"),)),
    Step("teal-902", "The marker holds teal-902, too."),
)
# Later answers first: a tool's result may repeat its command.
ALL = [step for errand in (RESUMED, WRITE_AND_READ, TWO_AT_ONCE, FAILS) for step in reversed(errand)]


def rules(client, place, dialect):
    asides = [{"anywhere": pattern, "say": ASIDE} for pattern in client.asides]
    return [*asides, *({"when": step.when, "say": step.say(client, place, dialect)} for step in ALL), {"say": ASIDE}]

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
    thought: str = ""

    def say(self, client, place, dialect):
        thought = f"<think>\n{self.thought}\n</think>\n\n" if self.thought else ""
        calls = [getattr(client, tool)(place, argument) for tool, argument in self.calls]
        return thought + said(dialect, self.text, calls)


# The file's content stands in no prompt before it was read.
WRITE_AND_READ = (
    Step("errand-one", "I write it down.",
         (("shell", "printf 'amber-%s\\n' 7431 > notes/marker.txt && echo is-written"),)),
    Step("is-written", "I read it back.", (("read", "notes/marker.txt"),)),
    Step("amber-7431", "The marker holds amber-7431."),
)
TWO_AT_ONCE = (
    Step("errand-two", "Both at once.",
         (("shell", "printf 'l%s\\n' eft > left.txt && echo left-is-done"),
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
THINKS = (
    Step("errand-five", "I count them.", (("shell", "echo there-are-$((40 + 2))"),), "How many? A shell can add."),
    Step("there-are-42", "There are 42 of them.", thought="Forty and two: that is all."),
)
THINKS_ON = (
    Step("errand-six", "As I said: 42 of them.", thought="It stands in what I wrote."),
)
LOADS_A_TOOL = (
    Step("errand-seven", "I load it.", (("load", "CronList"),)),
    Step("(\"name\": ?\"|<name>)CronList", "I call it.", (("jobs", ""),)),
    Step("[Nn]o .*jobs", "Nothing is scheduled."),
)
# Later answers first: a tool's result may repeat its command.
ERRANDS = (RESUMED, WRITE_AND_READ, TWO_AT_ONCE, FAILS, THINKS, THINKS_ON, LOADS_A_TOOL)
ALL = [step for errand in ERRANDS for step in reversed(errand)]


def can(client, step):
    return all(hasattr(client, tool) for tool, _ in step.calls)


def rules(client, place, dialect):
    asides = [{"anywhere": pattern, "say": ASIDE} for pattern in client.asides]
    known = [step for step in ALL if can(client, step)]
    return [*asides, *({"when": step.when, "say": step.say(client, place, dialect)} for step in known), {"say": ASIDE}]

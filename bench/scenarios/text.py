"""Text that looks like an agent's: rules, tools, file listings, questions. The same for the same seed."""

import random

WORDS = ("river stone lantern cloud market window garden silver engine paper mountain signal bridge forest number "
         "letter harbor candle mirror ladder").split()
VERBS = "read write check build move open close count sort load".split()


def words(count, seed):
    pick = random.Random(seed)
    return " ".join(pick.choice(WORDS) for _ in range(count))


def rule(pick):
    a, b, c = (pick.choice(WORDS) for _ in range(3))
    return pick.choice([
        f"- Before you {pick.choice(VERBS)} {a}/{b}.py, {pick.choice(VERBS)} its {c} once and say what you found.",
        f"- src/{a}/{b}.ts:{pick.randrange(400)}: export function {pick.choice(VERBS)}_{c}(input: string): number",
        f'- {{"path": "{a}/{b}.json", "lines": {pick.randrange(900)}, "owner": "{c}"}}',
        f"- Never {pick.choice(VERBS)} the {a} while the {b} is open; the {c} depends on it.",
    ])


def head(word_count, seed=0):
    """A system text of about that many words (about two tokens each)."""
    pick = random.Random(seed)
    lines = ["You are a careful coding agent. You work in a repository and answer briefly.", "", f"# Rules of project {seed}"]
    while sum(len(line.split()) for line in lines) < word_count:
        lines.append(rule(pick))
    return "\n".join(lines)


def head_of_tokens(count, tokenize, seed=0):
    """A system text of that many tokens, to within one of its lines."""
    per_word = len(tokenize(head(400, seed))) / len(head(400, seed).split())
    text = head(int(1.2 * count / per_word), seed)
    lines = text.split("\n")
    while len(lines) > 4 and len(tokenize("\n".join(lines))) > count:
        surplus = len(tokenize("\n".join(lines))) - count
        del lines[len(lines) - max(1, surplus // 60):]
    return "\n".join(lines)


def tool(name, description, **properties):
    parameters = {"type": "object", "properties": {key: {"type": kind} for key, kind in properties.items()},
                  "required": list(properties), "additionalProperties": False}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


TOOLS = [
    tool("read_file", "Reads some lines of a file.", path="string", lines="integer"),
    tool("run_command", "Runs a command of the shell.", command="string", timeout_s="integer"),
]

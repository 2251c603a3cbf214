"""Agent traffic with the shape of recorded Claude Code sessions, made from a seed.

Sizes are in the tokens of the recorded sessions; who runs the traffic divides them by a scale. What is generated is a
plan: who sends which messages after how long a pause. The assistant's turns in it are written here, not by the model,
so that every server is sent the same bytes whatever it answered.

  session    a head (system text and tools) that all agents share, the rules of a project that two of them share, a
             task, then turns: mostly a call and its result, sometimes a person's next question
  sub-agent  one to three at once under the same head; their parent waits for them
  fork       the parent's whole history with another question, after which the parent goes on without it
  compaction a fork that asks for a summary; the session begins again with the head and that summary
"""

import random
from dataclasses import dataclass
from statistics import NormalDist

# Of 739 public sessions; how these numbers were come by is in docs/performance.md.
NEW_P50, NEW_P90 = 712, 5220         # tokens of a request that no request before it had
THINK_P50_S, THINK_P90_S = 10, 184   # from an answer's end to the next request
ANSWER_P50 = 216                     # tokens generated
RESENT = 0.957                       # of all prompt tokens: those that were sent before

HEAD, RULES = 18_000, 2_000
CONTEXT = 128_000
NEW_MIN, NEW_MAX = 90, 30_000
ANSWER_MIN, ANSWER_MAX = 60, 3_000
THINK_MAX_S = 600

SUB_AGENTS = 0.06   # of a session's turns are followed by sub-agents
SUB_TURNS = (2, 5)
FORKS = 0.03
PEOPLE = 0.15       # of the turns begin with a person's words, not with a tool's result


@dataclass(frozen=True)
class Message:
    role: str
    tokens: int
    name: str  # equal names are equal texts


@dataclass(frozen=True)
class Request:
    who: str
    kind: str  # start, tool, user, sub, fork or compact
    messages: tuple[Message, ...]
    answer: int
    think_s: float

    @property
    def prompt(self):
        return sum(message.tokens for message in self.messages)


@dataclass(frozen=True)
class Step:
    """A request, and what is sent at once after its answer: the next step waits for all of it."""

    request: Request
    beside: tuple[tuple[Request, ...], ...] = ()


class Draws:
    """Values of a log-normal distribution, one from each of many equally likely parts in random order: so a short
    run has the distribution's quantiles, too."""

    PARTS = 40

    def __init__(self, pick, p50, p90, low, high):
        self.pick, self.p50, self.low, self.high = pick, p50, low, high
        self.ratio = (p90 / p50) ** (1 / NormalDist().inv_cdf(0.9))
        self.left = []

    def next(self):
        if not self.left:
            self.left = list(range(self.PARTS))
            self.pick.shuffle(self.left)
        part = (self.left.pop() + self.pick.uniform(0.01, 0.99)) / self.PARTS
        return min(self.high, max(self.low, self.p50 * self.ratio ** NormalDist().inv_cdf(part)))


class Maker:
    """What the agents of one seed have in common."""

    def __init__(self, seed):
        self.seed = seed
        self.pick = random.Random(f"agents {seed}")
        self.new = Draws(self.pick, NEW_P50, NEW_P90, NEW_MIN, NEW_MAX)
        self.sub_new = Draws(self.pick, NEW_P50, NEW_P90, NEW_MIN, NEW_MAX)
        self.think = Draws(self.pick, THINK_P50_S, THINK_P90_S, 0, THINK_MAX_S)
        self.answers = Draws(self.pick, ANSWER_P50, 5 * ANSWER_P50, ANSWER_MIN, ANSWER_MAX)
        self.count = 0

    def message(self, role, tokens):
        self.count += 1
        return Message(role, max(1, round(tokens)), f"{self.seed} {self.count}")

    def head(self, project):
        return (Message("system", HEAD, f"{self.seed} head"), Message("user", RULES, f"{self.seed} project {project}"),
                Message("assistant", ANSWER_MIN, f"{self.seed} ready"))

    def turn(self, new, answer):
        """The assistant's turn that the client sends back, and what is said to it: new tokens together."""
        spoken = min(answer, new // 2)
        return (self.message("assistant", spoken), self.message("user", new - spoken))


class Session:
    def __init__(self, maker, number):
        self.maker, self.who = maker, f"agent {number}"
        self.head = maker.head(number // 2)
        self.messages = (*self.head, maker.message("user", maker.new.next()))
        self.answer = 0

    def request(self, kind, messages, who="", think_s=None):
        self.answer = round(self.maker.answers.next())
        return Request(who or self.who, kind, messages, self.answer, self.maker.think.next() if think_s is None else think_s)

    def steps(self, turns):
        yield Step(self.request("start", self.messages))
        for _ in range(turns - 1):
            new = round(self.maker.new.next())
            if sum(m.tokens for m in self.messages) + new > CONTEXT - 3 * ANSWER_MAX:
                yield self.compact()
            kind = "user" if self.maker.pick.random() < PEOPLE else "tool"
            self.messages += self.maker.turn(new, self.answer)
            own = self.request(kind, self.messages)
            answer = self.answer
            yield Step(own, self.beside())
            self.answer = answer

    def compact(self):
        asked = self.maker.message("user", NEW_MIN)
        summary = self.request("compact", (*self.messages, self.maker.message("assistant", self.answer), asked))
        self.messages = (*self.head, self.maker.message("user", ANSWER_MAX))
        return Step(summary)

    def beside(self):
        dice = self.maker.pick.random()
        if dice < FORKS:
            asked = (self.maker.message("assistant", self.answer), self.maker.message("user", self.maker.sub_new.next()))
            return ((self.request("fork", self.messages + asked, f"{self.who}/fork", think_s=0.0),),)
        if dice < FORKS + SUB_AGENTS:
            return tuple(self.sub_agent(number) for number in range(self.maker.pick.randint(1, 3)))
        return ()

    def sub_agent(self, number):
        who = f"{self.who}/sub {self.maker.count}.{number}"
        messages = (*self.head, self.maker.message("user", self.maker.sub_new.next()))
        requests = [self.request("sub", messages, who, think_s=0.0)]
        for _ in range(self.maker.pick.randint(*SUB_TURNS) - 1):
            messages += self.maker.turn(round(self.maker.sub_new.next()), self.answer)
            requests.append(self.request("sub", messages, who))
        return tuple(requests)


def traffic(seed, agents=6, turns=40):
    """For each agent its steps."""
    maker = Maker(seed)
    sessions = [Session(maker, number) for number in range(agents)]
    return [list(session.steps(turns)) for session in sessions]


def in_order(agents):
    """Every request, as if all agents took turns and what is beside were sent one after the other."""
    for number in range(max(len(steps) for steps in agents)):
        for steps in agents:
            if number < len(steps):
                yield steps[number].request
                for requests in steps[number].beside:
                    yield from requests


def new_tokens(requests):
    """For each of them the tokens after its longest beginning that was sent before."""
    sent = set()
    for request in requests:
        beginning, new = 0, 0
        for message in request.messages:
            beginning = hash((beginning, message.name))
            new += 0 if beginning in sent else message.tokens
            sent.add(beginning)
        yield new

"""The client's own account of what was computed, to know what was computed twice.

Every request is rendered and tokenized by the server it goes to, before it is sent. Together with the
answered turn these tokens are remembered, over restarts, too. What a later request has to compute is
what follows its longest known beginning, and always one token for its logits. What it computed
beyond that is wasted.

A turn counts as the client sees it, tokenized anew: a server that reads its own answer in other
tokens than it wrote has to compute them again, and that is waste.
"""

from dataclasses import dataclass


def common(a, b):
    """How long two token lists agree."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


@dataclass
class Row:
    step: str            # "": only a preparation
    prompt: int
    reused: int
    computed: int
    wasted: int
    to_boundary: int     # tokens from the last place where a state may have been kept to the end of what was known
    ttft_ms: float
    why: str = ""
    excused: bool = False  # what it reuses was damaged on purpose


class Account:
    def __init__(self, known=()):
        self.known = list(known)

    def longest_known(self, prompt):
        return max((common(tokens, prompt) for tokens in self.known), default=0)

    def needed(self, prompt):
        return max(1, len(prompt) - self.longest_known(prompt))

    def remember(self, tokens):
        self.known.append(tokens)

    def to_boundary(self, prompt, ends):
        """ends: where messages end in this prompt. Answered turns end where their lists do."""
        known = self.longest_known(prompt)
        turns = [len(tokens) for tokens in self.known if common(tokens, prompt) == len(tokens)]
        return known - max([end for end in [*ends, *turns] if end <= known], default=0)

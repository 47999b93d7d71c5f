"""What a rule set asks sources for: collect.yaml."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Query:
    """One list of one source that a rule set asks for.

    Attributes:
        source: the name of the source.
        kind: what sort of list it is, in the source's words: category, dataset, board, search, playlist, channel.
        text: which list of that kind.
        tags: (kind, word) of the vocabulary that are true of everything in the list.
        labels: the labels that it is to fill.
    """

    source: str
    kind: str
    text: str
    tags: tuple[tuple[str, str], ...] = ()
    labels: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What the list is called everywhere: `search: Gregorian chant`."""
        return f"{self.kind}: {self.text}"

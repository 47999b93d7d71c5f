"""What stands where bars would be drawn."""


class Silent:
    """Draws nothing."""

    def begin(self, stage: str, batches: int) -> None: ...

    def done(self, stage: str) -> None: ...

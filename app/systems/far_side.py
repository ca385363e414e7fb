"""The one error that clients of other systems raise."""


class FarSideError(Exception):
    """The other side did not do it. `again` says whether trying again can help."""

    def __init__(self, says: str, *, again: bool) -> None:
        super().__init__(says)
        self.says = says
        self.again = again

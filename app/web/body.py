"""Bodies: read whole, but never more than the limit."""

from fastapi import Request

from app.foundation.errors import Invalid, TooLarge


async def read_body(request: Request, limit: int) -> bytes:
    """The body; raises TooLarge as soon as it is longer than `limit` bytes, Invalid when the client left."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise TooLarge(f"the body has {declared} bytes, the limit is {limit}")
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise TooLarge(f"the body has more than {limit} bytes")
        chunks.append(chunk)
    if declared.isdigit() and size < int(declared):
        raise Invalid("the body ended early")
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)

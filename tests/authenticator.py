"""An authenticator app. This module needs only the standard library."""

import base64
import hashlib
import hmac
import time


class Authenticator:
    """An authenticator app (RFC 6238). It gives a code of each time step once, because latchkey
    accepts a code once."""

    def __init__(self, secret: str):
        self.secret = base64.b32decode(secret + "=" * (-len(secret) % 8))
        self.last = 0

    def code(self) -> str:
        """Returns a code that latchkey accepts: of the step before now, of now, or of the next
        step. At most three codes are available at once."""
        self.last = max(self.last, int(time.time()) // 30 - 2) + 1
        digest = hmac.new(self.secret, self.last.to_bytes(8, "big"), hashlib.sha1).digest()
        begin = digest[-1] & 15
        number = int.from_bytes(digest[begin : begin + 4], "big") & 0x7FFFFFFF
        return f"{number % 1_000_000:06}"

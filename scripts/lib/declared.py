"""Compares the codes that each operation declares with the codes that the tests saw. See
scripts/lib/declared."""

import json
import sys
from pathlib import Path

# Codes that the server returns before it knows the operation, or from code that all operations
# share. It is enough if a test saw such a code at one operation.
OF_ALL = {
    "body-too-large",
    "dependency-unavailable",
    "headers-too-large",
    "malformed-request",
    "overloaded",
    "rate-limited",
    "unsupported-media-type",
    "uri-too-long",
}

# Codes that are tested only by tests that write bytes to a connection, such as
# `a_body_that_does_not_come_is_a_408`. The responses in these tests are not recorded.
BY_BYTES = {"request-timeout"}

# The text in the document about the refusal of plain HTTP. Every operation of the API has this
# text.
IN_CLEAR = "`forbidden` if a proxy received the request over plain http"


def of(operation):
    """Returns the name of an operation. For a misspelt path, this is the name of the operation with
    the correct path."""
    return operation.removesuffix("Respelled")


def declared(document):
    """Yields the operation and the code of each problem that the document declares."""
    for item in document["paths"].values():
        for operation in item.values():
            for response in operation["responses"].values():
                if "application/problem+json" not in response.get("content", {}):
                    continue
                for text in response["description"].split(", "):
                    code = "plain-http" if text == IN_CLEAR else text.strip("`")
                    yield of(operation["operationId"]), code


def main():
    lines = [line.split() for line in Path(sys.argv[1]).read_text().splitlines()]
    seen = {(of(operation), code) for operation, code in lines}
    seen_codes = {code for _, code in seen}
    pairs = {pair for pair in declared(json.load(sys.stdin)) if pair[1] not in BY_BYTES}
    unseen = sorted(
        (operation, code) for operation, code in pairs
        if not (code in seen_codes if code in OF_ALL else (operation, code) in seen)
    )
    for operation, code in unseen:
        print(f"{operation} declares `{code}`, and no test saw it")
    failed = bool(unseen) or not pairs
    print(f"test each declared code is returned in a test, {len(pairs)} of operations ... {'FAILED' if failed else 'ok'}")
    print(f"test result: {'FAILED' if failed else 'ok'}. {int(not failed)} passed; {int(failed)} failed; 0 ignored")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

"""Compares the codes that each operation declares with those that tests saw: see scripts/lib/declared."""

import json
import sys
from pathlib import Path

# Returned before the operation is known, or by what all operations share: seen at one operation is enough.
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

# Seen by tests that write bytes to a connection of their own: `a_body_that_does_not_come_is_a_408` and its like.
BY_BYTES = {"request-timeout"}

# How the document declares the refusal of plain http, which every operation of the API shares.
IN_CLEAR = "`forbidden` over plain http behind a proxy"


def of(operation):
    """The two right spellings share an operation with the misspelt paths."""
    return operation.removesuffix("Respelled")


def declared(document):
    """Operation and code of each problem that the document declares."""
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

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


def of(operation):
    """The two right spellings share an operation with the misspelt paths."""
    return operation.removesuffix("Respelled")


def declared(document):
    """Operation and code of each problem that the document declares."""
    for item in document["paths"].values():
        for operation in item.values():
            for response in operation["responses"].values():
                if "application/problem+json" in response.get("content", {}):
                    for code in response["description"].split("`")[1::2]:
                        yield operation["operationId"], code


def main():
    lines = [line.split() for line in Path(sys.argv[1]).read_text().splitlines()]
    seen = {(of(operation), code) for operation, code in lines}
    seen_codes = {code for _, code in seen}
    pairs = set(declared(json.load(sys.stdin)))
    unseen = []
    for operation, code in sorted(pairs):
        if code in BY_BYTES:
            continue
        if not (code in seen_codes if code in OF_ALL else (of(operation), code) in seen):
            unseen.append(f"{operation} {code}")
    for each in unseen:
        print(f"test {each} ... FAILED: declared, and no test saw it")
    word = "FAILED" if unseen or not pairs else "ok"
    print(f"test result: {word}. {len(pairs) - len(unseen)} passed; {len(unseen)} failed; 0 ignored")
    return 1 if unseen or not pairs else 0


if __name__ == "__main__":
    sys.exit(main())

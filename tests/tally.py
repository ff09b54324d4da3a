"""Counts the checks of a test program. The output has the format of cargo's test runner, so that
`scripts/test` can add up the totals."""


class Tally:
    """The checks of one program. `prefix` stands before the name of each check."""

    def __init__(self, prefix: str = ""):
        self.prefix, self.passed, self.failed = prefix, 0, 0

    def check(self, name: str, holds: object, told: object = ""):
        print(f"test {self.prefix}{name} ... {'ok' if holds else f'FAILED {told}'}", flush=True)
        self.passed += bool(holds)
        self.failed += not holds

    def result(self) -> int:
        """Prints the totals, and returns the exit code. A program without checks has failed."""
        is_good = self.passed > 0 and self.failed == 0
        word = "ok" if is_good else "FAILED"
        print(f"\ntest result: {word}. {self.passed} passed; {self.failed} failed; 0 ignored", flush=True)
        return 0 if is_good else 1

"""`docs/limits.md` says what the code says: values are those of the constants, and the tests named exist."""

import re
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| (?!Limit |Memory and|-)(.+) \|$", re.M)
# Files of which every limit must be in the table, and what in them is one.
COMPLETE = {
    "core/btree/limits.h": r"constexpr \w+ (k(?:Max|Min)\w+) =",
    "core/txn/limits.h": r"^  (?:absl::Duration|uint64_t|size_t) (\w+) = ",
}
# Follow from others, or only choose a place.
DERIVED = {"kMaxStoredKeySizeBytes", "kMaxInlineValueSizeBytes", "kMaxSmallInlineValueSizeBytes"}
SECONDS = {"Seconds": 1, "Minutes": 60, "Hours": 3600}


def evaluate(expression: str) -> int:
    """A constant's initialiser: numbers, products, shifts and durations."""
    text = expression.replace("'", "")
    text = re.sub(r"\b(?:u?int64_t|size_t)\{(\w+)\}", r"\1", text)
    duration = re.fullmatch(r"absl::(\w+)\((\d+)\)", text)
    if duration is not None:
        return SECONDS[duration[1]] * int(duration[2])
    if not re.fullmatch(r"[\d\s*<+()-]+", text):
        raise AssertionError(f"not a plain number: {expression}")
    return int(eval(text))  # noqa: S307 - digits and operators only


def constant(place: str) -> int:
    path, name = place.split(": ")
    found = re.search(rf"\b{name} = ([^;]+);", (ROOT / path).read_text())
    if found is None:
        raise AssertionError(f"{path} has no {name}")
    return evaluate(found[1])


class LimitsTableTest(unittest.TestCase):
    def setUp(self) -> None:
        self.text = (ROOT / "docs/limits.md").read_text()
        self.rows = [row.split(" | ") for row in ROW.findall(self.text)]
        self.assertGreater(len(self.rows), 25)

    def test_values_are_those_of_the_constants(self) -> None:
        for row in self.rows:
            place = row[-2].strip("`")
            with self.subTest(place):
                plain = row[1].replace(",", "")
                if plain.isdigit():
                    self.assertEqual(constant(place), int(plain))
                else:
                    constant(place)  # one that the machine decides

    def test_every_limit_is_in_the_table(self) -> None:
        for path, pattern in COMPLETE.items():
            names = set(re.findall(pattern, (ROOT / path).read_text(), re.M)) - DERIVED
            self.assertGreater(len(names), 5)
            for name in names:
                self.assertIn(f"`{path}: {name}`", self.text)

    def test_places_in_the_text_have_the_values_beside_them(self) -> None:
        for value, place in re.findall(r"([\d,]+)(?: bytes)?\s+\(`([\w/.]+: \w+)`\)", self.text):
            self.assertEqual(constant(place), int(value.replace(",", "")), place)

    def test_the_tests_named_exist(self) -> None:
        for row in self.rows:
            path, name = row[-1].strip("`").split(": ")
            self.assertRegex((ROOT / path).read_text(), rf"(def {name}\b|TEST\w*\(\w+, {name}\))")

    def test_a_wrong_value_would_be_seen(self) -> None:
        self.assertEqual(evaluate("size_t{16} << 20"), 16 << 20)
        self.assertEqual(evaluate("10'000"), 10_000)
        self.assertEqual(evaluate("absl::Minutes(15)"), 900)
        self.assertRaises(AssertionError, evaluate, "kOther + 1")


if __name__ == "__main__":
    unittest.main()

"""What the matrix plants, and the search that has to find none of it: secrets that no two cells share, and their forms.

Every secret holds a mark that all of its kind share, so one search finds any of them, and a part of one, too. What
follows the mark tells whose it is.
"""

import base64
import dataclasses
import json
import re
import string
import urllib.parse

CANARY_MARK = "mtrxcanary"
CANARY = re.compile(rf"{CANARY_MARK}(\d{{5}})z".encode())
# Marks that Stripe's and AWS's own scanners would take for keys are put together here.
AWS_MARK, STRIPE_MARK = "AKIA" + "Q7MTRX", "51MtrxQ9wZ"
JWT_HEADER = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"


@dataclasses.dataclass(frozen=True)
class Secret:
    """One secret of one cell."""
    kind: str
    text: str
    # As JSON has it: a number where the kind is one.
    value: object
    # Of cards: the digits alone.
    digits: str = ""

    @property
    def is_number(self) -> bool:
        return not isinstance(self.value, str)


def luhn(digits: str) -> str:
    """With the digit that makes the sum right."""
    total = 0
    for place, digit in enumerate(map(int, reversed(digits))):
        doubled = digit * 2 if place % 2 == 0 else digit
        total += doubled - 9 if doubled > 9 else doubled
    return digits + str(-total % 10)


def grouped(digits: str, separator: str) -> str:
    return separator.join(digits[at:at + 4] for at in range(0, len(digits), 4))


def base32(number: int, length: int) -> str:
    letters = string.ascii_uppercase + "234567"
    return "".join(letters[number >> 5 * place & 31] for place in reversed(range(length)))


def unpadded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def card(kind: str, number: int, shape) -> Secret:
    digits = luhn(f"4111111111{number:05}")
    value = shape(digits)
    return Secret(kind, str(value), value, digits)


def iban(number: int) -> str:
    account = f"3704004405{number:08}"
    # DE00 behind the account, letters as numbers (ISO 13616).
    return f"DE{98 - int(f'{account}131400') % 97:02}{account}"


# Kinds that are cards, whose numbers none have in common.
CARDS = "cnuds"

# Each kind's letter in the table, its name, and what makes its secret of a number that is the cell's own.
KINDS = {
    "c": ("card", lambda n: card("c", n, str)),
    "n": ("card as a number", lambda n: card("n", n, int)),
    "u": ("card, URL-encoded", lambda n: card("u", n, lambda digits: urllib.parse.quote(f"cc={grouped(digits, ' ')}"))),
    "d": ("card, dotted", lambda n: card("d", n, lambda digits: grouped(digits, "."))),
    "s": ("card, spaced", lambda n: card("s", n, lambda digits: grouped(digits, " "))),
    "i": ("IBAN", lambda n: text("i", iban(n))),
    "S": ("SSN", lambda n: text("S", f"536-90-{n:04}")),
    "j": ("JWT", lambda n: text("j", f"{JWT_HEADER}.{unpadded(json.dumps({'sub': f'matrix-{n:05}'}))}.MtrxSgntrQk7vB2xZ{n:05}hJw9dLq3TnYc8RfP0sE")),
    "a": ("AWS key", lambda n: text("a", AWS_MARK + base32(n, 10))),
    "t": ("Stripe key", lambda n: text("t", f"sk_{'live'}_{STRIPE_MARK}{n:05}bVn4Lk8Ra")),
}


def text(kind: str, secret: str) -> Secret:
    return Secret(kind, secret, secret)


# A card's first ten digits as one may write them; of an IBAN the bank's code and what follows; of a JWT what it says and
# its signature, for all headers are alike.
MARKS = {
    "card": ["4111111111", *(f"4111{between}1111{between}11" for between in (" ", ".", "-", "+", "%20"))],
    "IBAN": ["3704004405", "3704 0044 05"],
    "SSN": ["536-90-"],
    "JWT": [unpadded('{"sub": "matrix'), "MtrxSgntrQk7vB2xZ"],
    "AWS key": [AWS_MARK],
    "Stripe key": [STRIPE_MARK],
    "canary": [CANARY_MARK],
}


def in_base64(raw: bytes) -> set[bytes]:
    """What base64 of anything that holds these bytes shows, at each of the three places where they may begin."""
    found = set()
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + raw).rstrip(b"=")
        first = (0, 2, 3)[before]
        last = len(encoded) - ((before + len(raw)) % 3 != 0)
        found |= {encoded[first:last], encoded[first:last].translate(bytes.maketrans(b"+/", b"-_"))}
    return found


def plain_forms(mark: str) -> tuple[set[bytes], set[bytes]]:
    """The forms in which a mark may stand, but for base64: those that are looked for as they are, and those in small
    letters."""
    raw = mark.encode()
    quoted = urllib.parse.quote(mark, safe="")
    exact = {raw, quoted.encode(), mark.encode("utf-16-le"), mark.encode("utf-16-be")}
    small = {raw.hex(), mark.lower(), urllib.parse.quote(quoted), "".join(f"%{byte:02x}" for byte in raw),
             "".join(f"\\u{ord(letter):04x}" for letter in mark), "".join(f"\\x{byte:02x}" for byte in raw)}
    return exact, {form.encode() for form in small} - exact


def forms(mark: str) -> tuple[set[bytes], set[bytes]]:
    """All forms in which a mark may stand."""
    exact, small = plain_forms(mark)
    return exact.union(*(in_base64(mark.encode(encoding)) for encoding in ("utf-8", "utf-16-le", "utf-16-be"))), small


NEEDLES = {name: [forms(mark) for mark in marks] for name, marks in MARKS.items()}


def hits(data: bytes):
    """Every place where a secret stands: the name of its kind and where."""
    small = data.lower()
    for name, of_kind in NEEDLES.items():
        if name == "canary":
            continue
        for exact, lower in of_kind:
            for needles, within in ((exact, data), (lower, small)):
                for needle in needles:
                    at = within.find(needle)
                    while at >= 0:
                        yield name, at
                        at = within.find(needle, at + 1)


def canaries(data: bytes) -> set[int]:
    """The numbers of the cells whose canaries stand there."""
    found = {int(number) for number in CANARY.findall(data)}
    for needle in in_base64(CANARY_MARK.encode()):
        at = data.find(needle)
        while at >= 0:
            found |= {int(number) for text in decoded(data, at) for number in CANARY.findall(text)}
            at = data.find(needle, at + 1)
    return found


def decoded(data: bytes, at: int):
    """What the base64 around a place says, wherever it begins; nothing where none is."""
    start = max(0, at - Owners.REACH)
    before = re.search(rb"[A-Za-z0-9+/_-]*$", data[start:at]).group()
    run = before + re.match(rb"[A-Za-z0-9+/_-]*", data[at:at + Owners.REACH]).group()
    run = run.translate(bytes.maketrans(b"-_", b"+/"))
    for skip in range(4):
        part = run[skip:]
        yield base64.b64decode(part[:len(part) // 4 * 4] + (part[len(part) // 4 * 4:] + b"==" if len(part) % 4 > 1 else b"")[:4])


class Owners:
    """Whose secret stands at a place that was hit."""

    # What is looked at before and behind a mark: more than any secret takes in any form.
    REACH = 900

    def __init__(self, cells):
        self.cells, self.forms = cells, {}

    def of(self, data: bytes, at: int):
        """The cell whose secret it is, whole and in one form; none where it is not whole."""
        for text in decoded(data, at):
            for _, within in hits(text):
                return self.of(text, within)
        start = max(0, at - self.REACH)
        window = data[start:at + self.REACH]
        near, small = canaries(window), window.lower()
        at -= start
        covers = lambda form, text: form in text[max(0, at + 1 - len(form)):at + len(form)]
        # Most often its own canary is near.
        for cell in sorted(self.cells, key=lambda cell: cell.number not in near):
            exact, lower = self.forms.setdefault(cell, plain_forms(cell.plant.secret.text))
            if any(covers(form, window) for form in exact) or any(covers(form, small) for form in lower):
                return cell
        return None

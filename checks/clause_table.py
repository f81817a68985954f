"""The table of clauses: what the published policies behind the presets promise, and the checks that hold us to it.

`checks/clauses/COMPANY.toml` has one entry for each clause, under its id:

    about   what is promised, in our own words
    keys    the keys of the policy that carry it
    state   `checked`, `attested` (a person's promise, which the page marks as one) or `later`
    checks  of what is checked: names out of `checks/clauses/checks.toml`
    open    what of the clause those checks leave open
    why     of what is not checked: the reason
    unsaid  why the page of the preset has no sentence with such a key

`checks/clauses/checks.toml` has for each check its `test` and the mutation that has to make it fail: `file`, `find` (a
piece of code that occurs once), `replace`. A test is `CRATE::it::MODULE::NAME`, `CRATE::lib::PATH::NAME`, or
`FILE.py::NAME` for one that drives the program from outside.
"""

import dataclasses
import functools
import pathlib
import re
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDER = ROOT / "checks" / "clauses"
# Each policy's file, the prefix of its clauses, and how many there are.
POLICIES = {"logflare": ("LF", 14), "logrocket": ("LR", 38), "better-stack": ("BS", 29), "sentry": ("SE", 19), "confluent": ("CF", 26)}
STATES = ("checked", "attested", "later")


@dataclasses.dataclass
class Check:
    name: str
    test: str
    file: str
    find: str
    replace: str

    @property
    def is_outside(self) -> bool:
        """True where it drives the program."""
        return ".py::" in self.test

    @property
    def crate(self) -> str:
        return self.test.split("::")[0]

    @property
    def target(self) -> list[str]:
        return ["--lib"] if self.test.split("::")[1] == "lib" else ["--test", self.test.split("::")[1]]

    @property
    def path(self) -> str:
        """As the test itself is called by cargo."""
        return "::".join(self.test.split("::")[2:])

    @property
    def function(self) -> str:
        return self.test.split("::")[-1]


@functools.cache
def checks() -> dict[str, Check]:
    table = tomllib.loads((FOLDER / "checks.toml").read_text())
    return {name: Check(name=name, **entry) for name, entry in table.items()}


@functools.cache
def clauses() -> dict[str, dict]:
    found = {}
    for name in POLICIES:
        for clause, entry in tomllib.loads((FOLDER / f"{name}.toml").read_text()).items():
            assert clause not in found, f"{clause} is there twice"
            found[clause] = entry
    return found


@functools.cache
def crates() -> dict[str, pathlib.Path]:
    """The folders of our crates."""
    found = {}
    for manifest in [*ROOT.glob("*/Cargo.toml"), *ROOT.glob("*/*/Cargo.toml")]:
        name = re.search(r'^name = "([^"]+)"', manifest.read_text(), re.M)
        if name:
            found[name[1]] = manifest.parent
    return found


def source_of(check: Check) -> str:
    """The source that the test of a check stands in."""
    if check.is_outside:
        return (ROOT / "checks" / check.test.split("::")[0]).read_text()
    folder = crates()[check.crate]
    modules = check.path.split("::")[:-1]
    base = folder / "src" if check.target == ["--lib"] else folder / "tests" / check.target[1]
    # The last module may be `mod tests { … }` within its parent's file; the root is `lib.rs` or `main.rs`.
    for depth in range(len(modules), -1, -1):
        place = base.joinpath(*modules[:depth])
        root = [base / "lib.rs", base / "main.rs"] if depth == 0 else []
        for file in [place.with_suffix(".rs"), place / "mod.rs", *root]:
            if file.is_file():
                return file.read_text()
    raise AssertionError(f"{check.name}: no file of {check.test}")

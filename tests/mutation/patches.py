"""The mistakes of emac.txt."""

from dataclasses import dataclass
from pathlib import Path

from viperip_host import resources

LIST = Path(__file__).with_name("emac.txt")


@dataclass(frozen=True)
class Mutation:
    """A mistake: in `file` of firmware/viperip, the first lines `old` become `new`."""

    name: str
    file: str
    old: str
    new: str

    @property
    def twin(self) -> bool:
        """Whether the bytecode twins have to run for it."""
        return self.file.startswith("bytecode/")

    def applied(self) -> str:
        """The text of the file with the mistake in it. ValueError if the place is not there."""
        text = "\n" + (resources.firmware() / "viperip" / self.file).read_text()
        if self.old not in text:
            raise ValueError(f"{self.name}: its lines are not in {self.file} any more")
        return text.replace(self.old, self.new, 1)[1:]


def read(path: Path = LIST) -> list[Mutation]:
    """Every mistake of a list. ValueError for lines that make no sense, and for a name twice."""
    found = []
    for block in path.read_text().split("\n== ")[1:]:
        name, file, *lines = block.rstrip().split("\n")
        if not lines or any(line[:1] not in " -+" for line in lines):
            raise ValueError(f"{path.name}: {name}: a file, and lines with ' ', '-' or '+'")
        old = "".join(f"\n{line[1:]}" for line in lines if line[0] != "+") + "\n"
        new = "".join(f"\n{line[1:]}" for line in lines if line[0] != "-") + "\n"
        found.append(Mutation(name, file, old, new))
    if len({mutation.name for mutation in found}) != len(found):
        raise ValueError(f"{path.name}: a name is there twice")
    return found

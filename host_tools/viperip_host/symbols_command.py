"""`viperip symbols`: the address table of a firmware build."""

import json
from pathlib import Path

import click

from viperip_host.errors import UsageError

EPILOG = """\b
The ELF file must be that of the very build that is on the board: MicroPython's builds leave it
beside the image. link/wlan reads the table on the board, and refuses another firmware.

\b
Examples:
  viperip symbols ESP32_GENERIC.elf
  viperip symbols ESP32_GENERIC.elf -o viperip_symbols.json
  mpremote cp viperip_symbols.json :

\b
Exit status: 0; 1 when the file is not such a firmware's; 2 when it cannot be read or written."""


@click.command(
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 99},
)
@click.argument("elf", metavar="FIRMWARE.elf", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", metavar="FILE", type=click.Path(path_type=Path), help="Write it as JSON."
)
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def symbols(elf: Path, output: Path | None, as_json: bool) -> None:
    """List where a firmware build has the functions that Wi-Fi frames go through."""
    from viperip_host import symbols as _symbols

    table = _symbols.read(elf)
    text = json.dumps(table.as_dict(), indent=1)
    if output is not None:
        try:
            output.write_text(text + "\n")
        except OSError as error:
            raise UsageError(f"{output}: {error.strerror}") from None
    if as_json:
        print(text)
        return
    print(f"{table.project} {table.version}, ESP-IDF {table.idf}, {table.machine}")
    print(f"ELF SHA-256  {table.sha256}")
    print(f"0x{table.appdesc:08x}  application description")
    for name, address in table.symbols.items():
        print(f"0x{address:08x}  {name}")
    if output is not None:
        print(f"{output}: written; next: mpremote cp {output} :viperip_symbols.json")

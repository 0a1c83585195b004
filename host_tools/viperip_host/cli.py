"""The `viperip` command: a table of verbs, each imported only when it is used."""

import importlib
import sys
from collections.abc import Sequence

import click

from viperip_host import errors

# verb: (module:attribute, one line for the list of commands)
VERBS = {
    "sim": (
        "viperip_host.sim:sim",
        "Run a MicroPython program on its own TCP/IP stack, on this computer.",
    ),
    "switch": (
        "viperip_host.switch_command:switch",
        "Join boards: a learning Ethernet switch over UDP wires.",
    ),
    "vboard": (
        "viperip_host.vboard_command:vboard",
        "Run a virtual board: a serial port with an ESP32 of software behind it.",
    ),
    "flash": (
        "viperip_host.flash_command:flash",
        "Put MicroPython on a board, with esptool.",
    ),
    "deploy": (
        "viperip_host.deploy_command:deploy",
        "Put viperip on a board, with its profile and network configuration.",
    ),
    "undeploy": (
        "viperip_host.deploy_command:undeploy",
        "Remove what deploy has put on a board.",
    ),
    "test": (
        "viperip_host.test_command:test",
        "Run device tests on this computer or on boards.",
    ),
    "capture": (
        "viperip_host.capture_command:capture",
        "Copy a board's frames to a file or to Wireshark, over its serial line.",
    ),
    "monitor": (
        "viperip_host.monitor_command:monitor",
        "Watch boards: throughput, drops, sockets, heap.",
    ),
    "explain": (
        "viperip_host.explain_command:explain",
        "Explain frames: headers drawn, what both ends do with them, and by which rule.",
    ),
    "extcap": (
        "viperip_host.extcap_command:extcap",
        "Make boards appear as interfaces in Wireshark and tshark.",
    ),
    "bridge": (
        "viperip_host.bridge_command:bridge",
        "Give a board without a cable a network, over its serial line.",
    ),
    "symbols": (
        "viperip_host.symbols_command:symbols",
        "List where a firmware build has the functions that Wi-Fi frames go through.",
    ),
    "doctor": (
        "viperip_host.doctor_command:doctor_command",
        "Look at this computer, its ports and a board, and say what to fix.",
    ),
    "mtu": (
        "viperip_host.mtu_command:mtu",
        "Find the path MTU to a host, by probes of the board's stack.",
    ),
    "subnet": (
        "viperip_host.subnet_command:subnet",
        "Network, mask, broadcast address and usable hosts of a CIDR.",
    ),
    "boards": (
        "viperip_host.boards_command:boards",
        "List the boards that there are profiles of, or explain one.",
    ),
}

EXIT_STATUS = """\b
Exit status:
  0  done
  1  it failed (one line on stderr says why)
  2  the command line is wrong, or a link, file or port cannot be used"""


class LazyGroup(click.Group):
    """A group that imports a verb when it is called, so that --help stays fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module, _, attribute = VERBS[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(verb, line) for verb, (_, line) in VERBS.items()])


def _print_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"viperip {version('viperip')}")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    epilog=EXIT_STATUS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 99},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and exit.",
)
def viperip() -> None:
    """A TCP/IP stack in MicroPython: run it, join boards, watch their traffic.

    \b
    Examples:
      viperip sim                      the demo board; its page on http://127.0.0.1:8080/
      viperip sim script.py            a script of yours, with a network
      viperip sim -i                   a prompt with a network
      viperip switch --port 7101:7001 --port 7102:7002
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the process's exit status. Errors are one line on stderr."""
    try:
        result = viperip.main(args=arguments, prog_name="viperip", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else error.format_message(), err=True)
        return errors.USAGE
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "viperip"
        message = " ".join(error.format_message().split())
        return _complain(command, f"{message} See: {command} --help", errors.USAGE)
    except click.ClickException as error:
        return _complain("viperip", error.format_message(), error.exit_code)
    except errors.HostError as error:
        return _complain("viperip", str(error), error.status)
    except (KeyboardInterrupt, click.Abort):
        return 130
    return result if isinstance(result, int) else errors.OK


def _complain(who: str, line: str, status: int) -> int:
    sys.stdout.flush()
    print(f"{who}: {line}", file=sys.stderr, flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())

"""`python -m viperip_host` is the `viperip` command."""

import sys

from viperip_host.cli import main

sys.exit(main())

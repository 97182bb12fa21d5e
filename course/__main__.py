"""`python -m course copy`, `export NOTEBOOK` and `model NAME`: what a learner does outside a notebook.

Serves every lesson.
"""

import argparse
import sys

from course.study.export import export_html
from course.study.working_copy import ROOT, refresh


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns 0, or 1 after a message that says what was wrong."""
    parser = argparse.ArgumentParser(prog="python -m course", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("copy", help="copy the notebooks into my_notebooks/, never over what you changed")
    export = commands.add_parser("export", help="write a notebook as one HTML page that needs no network")
    export.add_argument("notebook", help="the .ipynb file, with the outputs that it should show")
    export.add_argument("--to", help="the page; beside the notebook when left out")
    model = commands.add_parser("model", help="fetch a real model once, so that load(NAME) has it at hand")
    model.add_argument("name", choices=["smollm2"])
    model.add_argument("--remove", action="store_true", help="take it off the disk again")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.command == "copy":
            print("\n".join(refresh()) or f"Your notebooks are in {ROOT / 'my_notebooks'}.")
        elif chosen.command == "model":
            from course.smollm2 import fetched, remove  # with them comes torch, which the other commands do not need

            if chosen.remove:
                print(f"{remove(chosen.name) / 1e6:.0f} MB are free again.")
            else:
                print(f"{chosen.name} is in {fetched(chosen.name)}: load({chosen.name!r}) opens it.")
        else:
            print(export_html(chosen.notebook, chosen.to))
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

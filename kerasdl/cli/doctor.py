"""`kerasdl doctor`."""

import json
import sys

import click

from kerasdl.cli.group import common_options
from kerasdl.cli.options import json_option


@click.command()
@json_option
@common_options
def doctor(as_json):
    """Check this installation: versions, extras, folders, a training step per backend.

    Exit code 3 if something is broken.

    \b
    Example:
      kerasdl doctor
    """
    from kerasdl.tools.doctor import examination, show

    document = examination.examine()
    if as_json:
        click.echo(json.dumps(document, ensure_ascii=False, indent=1))
    else:
        show.show(document)
    if document["broken"]:
        sys.exit(3)

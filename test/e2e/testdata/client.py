#!/usr/bin/python3
"""The openstack client, many commands in one process: starting it takes seconds.

Reads command lines from stdin, and writes a line of JSON for each: code (0 when
it succeeded), out (what it printed), said (errors and warnings).
"""
import contextlib
import io
import json
import logging
import shlex
import sys

from openstackclient import shell


class Session(shell.OpenStackShell):
    def interact(self):
        console = [h for h in logging.getLogger('').handlers if isinstance(h, logging.StreamHandler)]
        answers = sys.stdout
        for line in sys.stdin:
            self.stdout, said = io.StringIO(), io.StringIO()
            for handler in console:
                handler.setStream(said)
            try:
                with contextlib.redirect_stdout(self.stdout):     # not all commands know theirs
                    code = self.run_subcommand(shlex.split(line))
            except SystemExit as ex:      # of the command's parser
                code = ex.code
            print(json.dumps({'code': code or 0, 'out': self.stdout.getvalue(), 'said': said.getvalue()}),
                  file=answers, flush=True)
        return 0


if __name__ == '__main__':
    sys.exit(Session().run([]))

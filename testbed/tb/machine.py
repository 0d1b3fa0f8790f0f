"""The machine: where the testbed keeps its files, and how it runs commands.

Standard library only, here and in the whole package: the testbed must start
on a machine that has nothing but Python.
"""
import os
import subprocess
import time

STATE = os.path.abspath(os.environ.get('TRICIRCLE_TESTBED_DIR',
                                       '/var/tmp/tricircle-testbed'))
CACHE = os.path.abspath(os.environ.get('TRICIRCLE_TESTBED_CACHE',
                                       '/var/tmp/tricircle-testbed-cache'))

ENV = {
    'PATH': '/usr/sbin:/usr/bin:/sbin:/bin',      # never a pyenv/venv python
    'LANG': 'C.UTF-8',
    'LC_ALL': 'C.UTF-8',
    'HOME': STATE,
    'PYTHONUNBUFFERED': '1',
    # glibc gives each native thread its own arena; two are plenty here
    'MALLOC_ARENA_MAX': '2',
}

T0 = time.time()


def log(fmt, *args):
    print('[%6.1fs] %s' % (time.time() - T0, fmt % args if args else fmt),
          flush=True)


def state(*parts):
    return os.path.join(STATE, *parts)


def write(path, text, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w') as f:
        f.write(text)
    os.chmod(path, mode)
    return path


def run(argv, check=True, env=None, stdin=None, timeout=600):
    e = dict(ENV)
    e.update(env or {})
    r = subprocess.run(argv, env=e, input=stdin, timeout=timeout,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       text=True)
    if check and r.returncode:
        raise RuntimeError('%s -> rc %d\n%s' % (' '.join(argv)[:300],
                                                r.returncode,
                                                r.stdout[-3000:]))
    return r.stdout


def ini(sections):
    out = []
    for name, opts in sections.items():
        out.append('[%s]' % name)
        for k, v in opts.items():
            out.append('%s = %s' % (k, v))
        out.append('')
    return '\n'.join(out)


def wait(what, fn, timeout=120, every=0.3):
    end = time.time() + timeout
    err = None
    while time.time() < end:
        try:
            r = fn()
            if r:
                return r
        except Exception as ex:      # noqa: any failure means "not yet"
            err = ex
        time.sleep(every)
    raise RuntimeError('timed out waiting for %s (%s)' % (what, err))

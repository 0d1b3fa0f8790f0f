"""Processes of the testbed: started in a session of their own, remembered by
pid and start time, and stopped by that record and nothing else.
"""
import os
import signal
import subprocess
import time

from tb.machine import ENV, STATE, state, write


def starttime(pid):
    """Field 22 of /proc/PID/stat: tells a reused pid from ours."""
    try:
        with open('/proc/%d/stat' % pid) as f:
            s = f.read()
    except OSError:
        return None
    tail = s[s.rindex(')') + 2:].split()
    if tail[0] == 'Z':
        return None
    return tail[19]


def pidfile(name):
    return state('run', name + '.pid')


def alive(name):
    """The pid, or None when that very process is gone."""
    try:
        pid, st = open(pidfile(name)).read().split()
    except (OSError, ValueError):
        return None
    return int(pid) if starttime(int(pid)) == st else None


def spawn(name, argv, env=None):
    """Start argv in its own session, record pid and start time."""
    pid = alive(name)
    if pid:
        return pid
    e = dict(ENV)
    e.update(env or {})
    out = open(state('logs', name + '.out'), 'ab')
    os.makedirs(state('run'), exist_ok=True)
    proc = subprocess.Popen(argv, env=e, cwd=STATE, stdout=out,
                            stderr=out, stdin=subprocess.DEVNULL,
                            start_new_session=True, close_fds=True)
    time.sleep(0.02)
    write(pidfile(name), '%d %s\n' % (proc.pid, starttime(proc.pid)))
    return proc.pid


def stop(which, grace=8.0):
    """SIGTERM to the sessions of these names, SIGKILL after the grace."""
    todo = []
    for n in which:
        pid = alive(n)
        if pid:
            todo.append((n, pid))
            try:
                os.killpg(pid, signal.SIGTERM)
            except ProcessLookupError:
                pass
        elif os.path.exists(pidfile(n)):
            os.unlink(pidfile(n))
    end = time.time() + grace
    while todo and time.time() < end:
        todo = [(n, pid) for n, pid in todo if alive(n)]
        time.sleep(0.1)
    for n, pid in todo:
        try:
            os.killpg(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    for n in which:
        if os.path.exists(pidfile(n)):
            os.unlink(pidfile(n))


def names():
    """Every process that was started and not stopped, alive or dead."""
    try:
        return sorted(f[:-4] for f in os.listdir(state('run'))
                      if f.endswith('.pid') and f != 'mariadbd.own.pid')
    except OSError:
        return []

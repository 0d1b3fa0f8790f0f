"""Memory of the testbed per group of processes."""
import os
import re

from tb.process import alive, names


def children():
    """Parent pid to the pids of its children."""
    kids = {}
    for d in os.listdir('/proc'):
        if d.isdigit():
            try:
                with open('/proc/%s/stat' % d) as f:
                    s = f.read()
            except OSError:
                continue
            parent = int(s[s.rindex(')') + 2:].split()[1])
            kids.setdefault(parent, []).append(int(d))
    return kids


def usage(pid):
    """(RSS, PSS) of a process in KiB."""
    r = {}
    try:
        with open('/proc/%d/smaps_rollup' % pid) as f:
            for line in f:
                key, value = line.split()[:2]
                if key in ('Rss:', 'Pss:'):
                    r[key] = int(value)
    except OSError:
        pass
    return r.get('Rss:', 0), r.get('Pss:', 0)


def report():
    """PSS (shared pages counted once) and RSS in MiB, per group."""
    kids, groups, seen = children(), {}, set()

    def tree(pid):
        yield pid
        for k in kids.get(pid, ()):
            yield from tree(k)

    for n in names():
        g = re.sub(r'^pod\d+(-node\d+)?-', '', n)
        for x in tree(alive(n)) if alive(n) else ():
            if x in seen:
                continue
            seen.add(x)
            rss, pss = usage(x)
            c, r, s = groups.get(g, (0, 0, 0))
            groups[g] = (c + 1, r + rss, s + pss)
    print('%-22s %5s %9s %9s' % ('group', 'procs', 'RSS MiB', 'PSS MiB'))
    rows = sorted(groups.items(), key=lambda x: -x[1][2])
    rows.append(('total', [sum(v[i] for v in groups.values())
                           for i in range(3)]))
    for g, (c, r, s) in rows:
        print('%-22s %5d %9.0f %9.0f' % (g, c, r / 1024, s / 1024))

#!/usr/bin/python3
"""A real multi-pod OpenStack (Debian 12, Zed) on one machine, no systemd.

  testbed.py up [--pods N] [--nodes M] [--no-dataplane]
  testbed.py down [--wipe]        stop by recorded pids; --wipe drops the state
  testbed.py status
  testbed.py stop [--signal STOP|CONT|KILL] PATTERN...   e.g. 'pod2-nova-*';
                                  "up" again starts what is missing
  testbed.py install              packages only
  testbed.py exec NODE CMD...     run CMD inside a pod "host" (e.g. pod1-node1)
  testbed.py vm plug POD PORT_ID [NODE]   make a network namespace act as the
  testbed.py vm unplug POD PORT_ID [NODE] VM that owns that Neutron port
  testbed.py rss                  memory per service group

Environment:
  TRICIRCLE_TESTBED_DIR    state, logs, sockets   (/var/tmp/tricircle-testbed)
  TRICIRCLE_TESTBED_CACHE  empty-schema dumps     (/var/tmp/tricircle-testbed-cache)

Everything listens on loopback only: shared services on 127.0.0.10, pod i on
127.0.0.(10+i), on the standard ports.  Standard library only.
"""
import argparse
import concurrent.futures
import fnmatch
import json
import os
import shutil
import signal
import sys

sys.dont_write_bytecode = True     # no __pycache__ beside the sources

from tb import (config, database, files, hosts, memory, pods,  # noqa: E402
                shared, vm)
from tb.layout import FABRIC, save_topology, topology      # noqa: E402
from tb.machine import CACHE, ENV, STATE, log, state, wait  # noqa: E402
from tb.packages import install                            # noqa: E402
from tb.process import alive, names, spawn, stop           # noqa: E402


def cmd_up(a):
    if os.geteuid():
        sys.exit('the testbed needs root: it makes network namespaces and '
                 'installs packages')
    install()
    for d in ('run', 'logs', 'tmp', 'etc', 'bin'):
        os.makedirs(state(d), exist_ok=True)
    os.makedirs(CACHE, exist_ok=True)
    save_topology(a.pods, a.nodes, not a.no_dataplane)
    clouds, _ = topology()
    config.generate(clouds)
    shared.write_clouds(clouds)
    log('configuration written')
    start_shared(clouds, not a.no_dataplane)
    start_pods(clouds, not a.no_dataplane)
    for pod in clouds:
        wait_healthy(pod, not a.no_dataplane)
    log('up. export OS_CLIENT_CONFIG_FILE=%s', state('clouds.yaml'))


def start_shared(clouds, dataplane):
    """Databases, queue, Keystone and the hosts, as much at once as two cores
    bear."""
    shared.start_memcached()
    with concurrent.futures.ThreadPoolExecutor(4) as ex:
        mariadb = ex.submit(database.start_mariadb)
        rabbit = ex.submit(shared.start_rabbit, clouds)
        nodes = []
        if dataplane:
            hosts.start_fabric()
            nodes = [ex.submit(hosts.start_node, pod, k) for pod in clouds
                     for k in range(len(pod.nodes))]
        mariadb.result()
        log('mariadb up')
        # the migrations are the slow part of a first start: two at a time
        with concurrent.futures.ThreadPoolExecutor(2) as two:
            dumps = {n: two.submit(database.schema_dump, n) for n in (
                'keystone', 'neutron', 'nova', 'cinder', 'glance', 'nova_api',
                'placement')}
            dumps['keystone'].result()
            keystone = ex.submit(shared.start_keystone)
            for d in dumps.values():
                d.result()
        log('schemas ready')
        for f in [ex.submit(database.load_pod_schemas, x) for x in clouds]:
            f.result()
        log('pod databases loaded')
        for f in [rabbit, keystone] + nodes:
            f.result()
        log('rabbit and keystone up')
    shared.fill_keystone(clouds)
    log('keystone filled')


def start_pods(clouds, dataplane):
    for pod in clouds:
        pods.start_pod(pod)
    if dataplane:
        hosts.start_relay(clouds)
    else:
        here = os.path.dirname(os.path.abspath(__file__))
        spawn('l2beat', ['/usr/bin/python3', os.path.join(here, 'l2beat.py'),
                         json.dumps([[x.name, x.rabbit, x.nodes]
                                     for x in clouds]), database.SQLSOCK])
    for pod in clouds:
        # nova-compute gives up when no conductor answers in its first minute
        wait('nova-conductor DB row of ' + pod.name, lambda: int(database.sql(
            "select count(*) from %s_nova.services where `binary`="
            "'nova-conductor'" % pod.name)), 180)
        pods.start_computes(pod)
        if dataplane:
            # An agent whose first call meets no queue waits two minutes for
            # the next.
            wait('Network API of ' + pod.name, lambda: pods.answers(
                pod, 'neutron'), 180)
            hosts.start_agents(pod)
    log('all processes started')


def wait_healthy(pod, dataplane):
    missing = None

    def healthy():
        nonlocal missing
        missing = pods.pod_health(pod, dataplane)
        return missing is None
    try:
        wait(pod.name, healthy, 240, 0.5)
    except RuntimeError:
        sys.exit('%s is not healthy: %s (see %s)' % (pod.name, missing,
                                                     state('logs')))
    pods.finish_pod(pod)
    log('%s healthy', pod.name)


def cmd_down(a):
    every = names()
    common = {'mariadb', 'rabbitmq', 'epmd', 'memcached', 'keystone', 'relay',
              FABRIC}
    nodes = {n for n in every if n.startswith('node-')}
    ovs = {n for n in every if n.endswith(('-ovsdb', '-vswitchd'))}
    stop([n for n in every if n not in common | nodes | ovs])
    stop(['relay', 'keystone'])
    stop(sorted(ovs, reverse=True), 3)
    if os.path.isdir(state('run')):
        hosts.stop_nodes()
    stop(['rabbitmq', 'mariadb', 'memcached'], 20)
    stop(['epmd'])
    files.unmount()
    if a.wipe:
        wipe({'logs'} if a.keep_logs else set())
    log('down%s', ' and wiped' if a.wipe else '')


def wipe(keep):
    for f in os.listdir(STATE) if os.path.isdir(STATE) else ():
        x = state(f)
        if f in keep:
            continue
        if os.path.isdir(x) and not os.path.islink(x):
            shutil.rmtree(x)
        else:
            os.unlink(x)


def cmd_stop(a):
    """Fault injection: stop (or signal) processes by name pattern, such as
    pod2-nova-* or keystone; "up" starts again what is stopped."""
    hit = [n for n in names() if any(fnmatch.fnmatch(n, x)
                                     for x in a.pattern)]
    if a.signal:
        for n in hit:
            pid = alive(n)
            if pid:
                os.killpg(pid, getattr(signal, 'SIG' + a.signal))
    else:
        stop(hit)
    print(' '.join(hit) or 'no such process')
    return 0 if hit else 1


def cmd_status(a):
    bad = 0
    for n in names():
        pid = alive(n)
        bad += not pid
        print('%-28s %s' % (n, 'pid %d' % pid if pid else 'DEAD'))
    try:
        clouds, t = topology()
    except FileNotFoundError:
        print('no testbed in %s' % STATE)
        return 1
    for pod in clouds:
        try:
            missing = pods.pod_health(pod, t['dataplane'])
        except Exception as ex:       # noqa: whatever it is, it is not healthy
            missing = str(ex)
        print('%-28s %s' % (pod.name, 'NOT healthy: ' + missing if missing
                            else 'healthy'))
        bad += bool(missing)
    return 1 if bad else 0


def cmd_exec(a):
    try:
        prefix = hosts.inside(a.node)
    except RuntimeError as ex:
        sys.exit(str(ex))
    os.execvpe(prefix[0], prefix + a.cmd, dict(ENV))


def cmd_vm(a):
    clouds, _ = topology()
    pod = next((x for x in clouds if x.name == a.pod), None)
    if not pod:
        sys.exit('no such pod: ' + a.pod)
    if a.what == 'unplug':
        return vm.unplug(pod, a.port, a.node)
    return vm.plug(pod, a.port, a.node, a.static, not a.no_dhcp)


def parser():
    ap = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = ap.add_subparsers(dest='command', required=True)

    def command(name, fn):
        c = sub.add_parser(name)
        c.set_defaults(fn=fn)
        return c
    c = command('up', cmd_up)
    c.add_argument('--pods', type=int, default=2)
    c.add_argument('--nodes', type=int, default=1)
    c.add_argument('--no-dataplane', action='store_true')
    c = command('down', cmd_down)
    c.add_argument('--wipe', action='store_true')
    c.add_argument('--keep-logs', action='store_true')
    command('status', cmd_status)
    c = command('stop', cmd_stop)
    c.add_argument('--signal', help='STOP, CONT, KILL... instead')
    c.add_argument('pattern', nargs='+')
    command('install', lambda a: install())
    command('rss', lambda a: memory.report())
    c = command('exec', cmd_exec)
    c.add_argument('node')
    c.add_argument('cmd', nargs=argparse.REMAINDER)
    c = command('vm', cmd_vm)
    c.add_argument('what', choices=('plug', 'unplug'))
    c.add_argument('pod')
    c.add_argument('port')
    c.add_argument('node', nargs='?')
    c.add_argument('--static', help='address/len instead of DHCP')
    c.add_argument('--no-dhcp', action='store_true')
    return ap


def main():
    a = parser().parse_args()
    sys.exit(a.fn(a) or 0)


if __name__ == '__main__':
    main()

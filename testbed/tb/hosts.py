"""The data plane: hosts made of namespaces, joined by a physical network made
of Linux bridges, with real Open vSwitch and the real agents inside.
"""
import os
import shutil
import signal
import time

from tb.layout import FABRIC, PHYSNETS, PREFIX, SHARED, und_ip
from tb.machine import run, state, wait, write
from tb.process import alive, spawn, stop

NODE_INIT = r'''
set -e
hostname %(node)s
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run
mkdir -p /run/netns /run/openvswitch /run/lock
mount --bind %(ovs)s /run/openvswitch
ip link set lo up
echo 1 > /proc/sys/net/ipv4/ip_forward
touch %(ready)s
exec sleep infinity
'''


def start_fabric():
    """A namespace with three plain Linux bridges: the physical network."""
    ready = state('run', 'fabric.ready')
    if alive(FABRIC):
        return
    if os.path.exists(ready):
        os.unlink(ready)
    spawn(FABRIC, ['unshare', '-m', '-n', '-u', '--propagation', 'private',
                   'sh', '-c', r'''
set -e
hostname fabric
mount -t sysfs sysfs /sys
ip link set lo up
for b in vlan ext und; do
  ip link add $b type bridge stp_state 0 mcast_snooping 0
  ip link set $b up
done
echo 0 > /proc/sys/net/bridge/bridge-nf-call-iptables 2>/dev/null || true
touch %s
exec sleep infinity
''' % ready])
    wait('fabric', lambda: os.path.exists(ready), 20, 0.05)


def inside(node):
    """The prefix that runs a command inside a host, or inside the fabric."""
    pid = alive(FABRIC if node in ('fabric', FABRIC) else 'node-' + node)
    if not pid:
        raise RuntimeError('no such host, or it does not run: ' + node)
    return ['nsenter', '-t', str(pid), '-m', '-n', '-u', '--']


def nsrun(node, argv, **kw):
    return run(inside(node) + argv, **kw)


def start_node(pod, k):
    """A host of a pod: namespaces, cards in the fabric, Open vSwitch."""
    node = pod.nodes[k]
    if not alive('node-' + node):
        make_node(pod, k)
    start_ovs(pod, k)


def make_node(pod, k):
    node = pod.nodes[k]
    ready = state('run', node + '.ready')
    if os.path.exists(ready):
        os.unlink(ready)
    # An earlier host's bridges and sockets are not there any more; its agents
    # plug again what they serve.
    ovs = state(pod.name, node, 'ovs')
    shutil.rmtree(ovs, ignore_errors=True)
    os.makedirs(ovs)
    spawn('node-' + node, [
        'unshare', '-m', '-n', '-u', '--propagation', 'private', 'sh', '-c',
        NODE_INIT % {'node': node, 'ovs': ovs, 'ready': ready}])
    wait(node, lambda: os.path.exists(ready), 20, 0.05)
    pid = alive('node-' + node)
    # a name in /run/netns lets haproxy bind inside the namespace
    name = '%s-%s' % (PREFIX, node)
    run(['ip', 'netns', 'del', name], check=False)    # a stale one
    run(['ip', 'netns', 'attach', name, str(pid)])
    for net in ('vlan', 'ext', 'und'):
        port = '%s-p%dn%d' % (net, pod.i, k + 1)
        nsrun(FABRIC, ['ip', 'link', 'del', port], check=False)
        nsrun(FABRIC, ['ip', 'link', 'add', port, 'type', 'veth', 'peer',
                       'name', 'eth-' + net, 'netns', str(pid)])
        nsrun(FABRIC, ['ip', 'link', 'set', port, 'master', net, 'up'])
        nsrun(node, ['ip', 'link', 'set', 'eth-' + net, 'up'])
        # userspace OVS does not fill in the checksums that cards leave out
        for ns, dev in ((FABRIC, port), (node, 'eth-' + net)):
            nsrun(ns, ['ethtool', '-K', dev, 'tx', 'off', 'gro', 'off',
                       'gso', 'off', 'tso', 'off'], check=False)


def start_ovs(pod, k):
    node = pod.nodes[k]
    d = state(pod.name, node)
    conf = d + '/ovs/conf.db'
    if not os.path.exists(conf):
        run(['ovsdb-tool', 'create', conf,
             '/usr/share/openvswitch/vswitch.ovsschema'])
    spawn(node + '-ovsdb', inside(node) + [
        'ovsdb-server', '/run/openvswitch/conf.db',
        '--remote=punix:/run/openvswitch/db.sock',
        '--remote=ptcp:6640:127.0.0.1',
        '--unixctl=/run/openvswitch/ovsdb.ctl',
        '--pidfile=/run/openvswitch/ovsdb-server.pid', '-vconsole:warn'])
    wait('ovsdb ' + node, lambda: os.path.exists(d + '/ovs/db.sock'), 20, .05)
    nsrun(node, ['ovs-vsctl', '--no-wait', '--', 'init', '--', 'set',
                 'Open_vSwitch', '.', 'external_ids:system-id=' + node,
                 'external_ids:hostname=' + node])
    spawn(node + '-vswitchd', inside(node) + [
        'ovs-vswitchd', 'unix:/run/openvswitch/db.sock',
        '--pidfile=/run/openvswitch/ovs-vswitchd.pid', '-vconsole:warn'])
    args = ['ovs-vsctl', '--timeout=30']
    for br, dev in [(x[1], x[2]) for x in PHYSNETS] + [('br-und', 'eth-und')]:
        args += ['--', '--may-exist', 'add-br', br, '--', 'set', 'Bridge', br,
                 'datapath_type=netdev', '--', '--may-exist', 'add-port', br,
                 dev]
    nsrun(node, args)
    # userspace tunnels: OVS itself routes to the remote end point, so the
    # tunnel address sits on the bridge that holds the underlay card
    nsrun(node, ['ip', 'addr', 'replace', und_ip(pod, k) + '/24', 'dev',
                 'br-und'])
    nsrun(node, ['ip', 'link', 'set', 'br-und', 'up'])


def start_relay(pods):
    """One haproxy gives every node namespace the same loopback addresses as
    the root namespace has (rabbit, keystone, pod neutron/nova): no routable
    address is needed between root and the nodes."""
    out = ['global', '  maxconn 8000', '  nbthread 1', 'defaults',
           '  mode tcp', '  timeout connect 5s', '  timeout client 24h',
           '  timeout server 24h']
    for pod in pods:
        for ip, port in ((SHARED, 5672), (SHARED, 5000), (pod.ip, 9696),
                         (pod.ip, 8774)):
            out += ['listen %s-%d' % (pod.name, port)]
            for node in pod.nodes:
                out += ['  bind %s:%d namespace %s-%s' % (ip, port, PREFIX,
                                                          node)]
            out += ['  server s %s:%d' % (ip, port)]
    # a restarted node is a new namespace: haproxy must bind again
    text = '\n'.join(out) + '\n' + ''.join(
        '# %s %s\n' % (n, alive('node-' + n)) for x in pods for n in x.nodes)
    cfg = state('etc', 'relay.cfg')
    if not os.path.exists(cfg) or open(cfg).read() != text:
        stop(['relay'], 2)
        write(cfg, text)
    spawn('relay', ['haproxy', '-db', '-f', cfg])


def start_agents(pod):
    for k, node in enumerate(pod.nodes):
        d = state(pod.name, node)
        agents = {'ovs': ('neutron-openvswitch-agent', [])}
        if k == 0:                 # DHCP and L3 on the pod's first node
            agents['dhcp'] = ('neutron-dhcp-agent', ['dhcp.conf'])
            agents['l3'] = ('neutron-l3-agent', ['l3.conf'])
        for short, (binary, more) in agents.items():
            argv = ['/usr/bin/' + binary]
            for conf in ['agent.conf'] + more:
                argv += ['--config-file', os.path.join(d, conf)]
            spawn('%s-%s-agent' % (node, short), inside(node) + argv)


def members(pid):
    """Processes in the UTS namespace of a node: its daemons.  (Not the mount
    namespace: "ip netns exec" gives dnsmasq and others one of their own.)"""
    try:
        ns = os.readlink('/proc/%d/ns/uts' % pid)
    except OSError:
        return []
    if ns == os.readlink('/proc/self/ns/uts'):
        return []
    out = []
    for d in os.listdir('/proc'):
        if d.isdigit() and int(d) != pid:
            try:
                if os.readlink('/proc/%s/ns/uts' % d) == ns:
                    out.append(int(d))
            except OSError:
                pass
    return out


def stop_nodes():
    for f in sorted(os.listdir(state('run'))):
        if not f.startswith('node-') or not f.endswith('.pid'):
            continue
        name = f[:-4]
        pid = alive(name)
        if pid:
            # dnsmasq, radvd, vm dhcp clients...: daemons of ours, told apart
            # by living in the UTS namespace that we made for this node
            for sig in (signal.SIGTERM, signal.SIGKILL):
                for m in members(pid):
                    try:
                        os.kill(m, sig)
                    except ProcessLookupError:
                        pass
                time.sleep(0.3)
        stop([name])
        run(['ip', 'netns', 'del', '%s-%s' % (PREFIX, name[5:])], check=False)
    stop([FABRIC])

"""What the testbed is made of: names, addresses, pods and their hosts.

Everything listens on loopback only: shared services on 127.0.0.10, pod i on
127.0.0.(10+i), on the services' standard ports.
"""
import json

from tb.machine import state, write

SHARED = '127.0.0.10'
KEYSTONE = 'http://%s:5000' % SHARED
TOP_REGION = 'RegionOne'
PW = 'secret'                      # every password of the testbed
PREFIX = 'tb'                      # network namespace name prefix
FABRIC = PREFIX + '-fabric'        # the host that is the physical network

# physical network, OVS bridge, card of the host, VLAN range
PHYSNETS = (('bridge', 'br-vlan', 'eth-vlan', '101:400'),
            ('extern', 'br-ext', 'eth-ext', '401:500'))


class Pod:
    """One OpenStack cloud: its names, addresses and hosts."""

    def __init__(self, i, nodes):
        self.i = i
        self.name = 'pod%d' % i
        self.region = 'Pod%d' % i
        self.ip = '127.0.0.%d' % (10 + i)
        self.nodes = ['%s-node%d' % (self.name, n + 1) for n in range(nodes)]

    def db(self, what):
        return 'mysql+pymysql://tb:%s@%s:3306/%s_%s?charset=utf8' % (
            PW, SHARED, self.name, what)

    @property
    def rabbit(self):
        return 'rabbit://tb:%s@%s:5672/%s' % (PW, SHARED, self.name)


def save_topology(pods, nodes, dataplane):
    write(state('topology.json'), json.dumps(
        {'pods': pods, 'nodes': nodes, 'dataplane': dataplane}))


def topology():
    t = json.load(open(state('topology.json')))
    return [Pod(i + 1, t['nodes']) for i in range(t['pods'])], t


def und_ip(pod, k):
    """Underlay (VXLAN tunnel end point) address, seen only inside the
    fabric namespaces.  192.0.2.0/24 is the documentation range."""
    return '192.0.2.%d' % (pod.i * 10 + k + 1)

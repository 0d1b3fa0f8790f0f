"""Be the VM of a port: a namespace that holds the OVS port which nova's
libvirt driver would have plugged.
"""
import uuid

from tb.hosts import nsrun
from tb.machine import state, wait, write
from tb.rest import Http

UDHCPC = r'''#!/bin/sh
case "$1" in
bound|renew)
  ip addr flush dev $interface scope global
  ip addr add $ip/${mask:-24} dev $interface
  for r in $router; do ip route replace default via $r dev $interface; done
  echo "$ip/${mask:-24} router=$router dns=$dns mtu=$mtu"
  ;;
esac
'''


def names_of(port_id):
    """The namespace of a port's VM, and its card (as nova would name it)."""
    return 'vm-' + port_id[:8], 'tap' + port_id[:11]


def unplug(pod, port_id, node=None):
    """Take the VM away.  Works also when the port is gone from Neutron."""
    ns, dev = names_of(port_id)
    for host in [node] if node else pod.nodes:
        nsrun(host, ['ovs-vsctl', '--if-exists', 'del-port', 'br-int', dev])
        nsrun(host, ['ip', 'netns', 'del', ns], check=False)


def plug(pod, port_id, node=None, static=None, dhcp=True):
    h = Http('admin', 'admin')
    url = h.url(pod.region, 'network', '/v2.0/ports/' + port_id)
    port = h.must('GET', url)['port']
    node = node or port['binding:host_id'] or pod.nodes[0]
    ns, dev = names_of(port['id'])
    unplug(pod, port['id'], node)      # plugging again starts afresh
    nsrun(node, ['ip', 'netns', 'add', ns])
    nsrun(node, ['ovs-vsctl', '--timeout=20', '--', '--may-exist', 'add-port',
                 'br-int', dev, '--', 'set', 'Interface', dev,
                 'type=internal', 'external_ids:iface-id=' + port['id'],
                 'external_ids:iface-status=active',
                 'external_ids:attached-mac="%s"' % port['mac_address'],
                 'external_ids:vm-uuid="%s"' % (port['device_id'] or
                                                uuid.uuid4())])
    nsrun(node, ['ip', 'link', 'set', dev, 'netns', ns])
    for c in (['link', 'set', 'lo', 'up'],
              ['link', 'set', dev, 'address', port['mac_address']],
              ['link', 'set', dev, 'up']):
        nsrun(node, ['ip', '-n', ns] + c)
    print('namespace %s on %s, device %s' % (ns, node, dev))
    if static:
        nsrun(node, ['ip', '-n', ns, 'addr', 'add', static, 'dev', dev])
        return
    wait('port ACTIVE',
         lambda: h.must('GET', url)['port']['status'] == 'ACTIVE', 60)
    if dhcp:
        script = write(state('bin', 'udhcpc.sh'), UDHCPC, 0o755)
        print(nsrun(node, ['ip', 'netns', 'exec', ns, 'busybox', 'udhcpc',
                           '-i', dev, '-n', '-q', '-t', '8', '-T', '2',
                           '-s', script], timeout=60).strip())

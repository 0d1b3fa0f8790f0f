#!/usr/bin/python3
"""Experiment: one VXLAN segment over two stock pods.

Neutron has no REST call that creates an agent record or makes a port ACTIVE;
an L2 agent does both over RabbitMQ.  So play a "shadow" L2 agent: report to
each pod, for every foreign host, an agent with that host's tunnel address
(report_state), create a shadow port with the foreign VM's MAC and address
bound to it (plain REST), and say that it is up (update_device_up).  The pod's
own l2population driver then sends the forwarding entry to its own agents.

  xpod_vxlan.py            run the experiment with pod1 and pod2
  xpod_vxlan.py --rpc CONF REQUEST_JSON   (internal: speak to one pod)
"""
import json
import subprocess
import sys
import time

from tb.hosts import nsrun
from tb.layout import topology, und_ip
from tb.machine import ENV, state
from tb.rest import Http

import verify as v


def rpc(conf, req):
    import eventlet
    eventlet.monkey_patch()
    from neutron.agent import rpc as agent_rpc
    from neutron.common import config
    from neutron.conf.agent import common as agent_conf
    from oslo_config import cfg
    from neutron_lib.agent import topics
    from neutron_lib import context
    config.register_common_config_options()
    agent_conf.register_agent_state_opts_helper(cfg.CONF)
    config.init(['--config-file', conf])
    ctx = context.get_admin_context_without_session()
    for host, ip in req.get('agents', []):
        agent_rpc.PluginReportStateAPI(topics.REPORTS).report_state(ctx, {
            'binary': 'neutron-openvswitch-agent', 'host': host,
            'topic': 'N/A', 'agent_type': 'Open vSwitch agent',
            'start_flag': True,
            'configurations': {
                'tunneling_ip': ip, 'tunnel_types': ['vxlan'],
                'bridge_mappings': {}, 'l2_population': True,
                'datapath_type': 'netdev', 'devices': 1}}, use_call=True)
    for dev, host in req.get('up', []):
        agent_rpc.PluginApi(topics.PLUGIN).update_device_up(
            ctx, dev, 'ovs-agent-' + host, host)


def tell(pod, req):
    subprocess.run(['/usr/bin/python3', __file__, '--rpc',
                    state(pod.name, 'neutron.conf'), json.dumps(req)],
                   check=True, env=ENV)


def main():
    pods, _ = topology()
    pods = pods[:2]
    vni = 1950 + int(time.time()) % 49
    vm = {}
    for pod in pods:
        adm = v.P(pod, Http('admin'))
        n = adm.network('POST', '/v2.0/networks', {'network': {
            'name': 'xvxlan', 'provider:network_type': 'vxlan',
            'provider:segmentation_id': vni}})['network']
        s = adm.network('POST', '/v2.0/subnets', {'subnet': {
            'network_id': n['id'], 'ip_version': 4, 'cidr': '10.50.0.0/24',
            'enable_dhcp': False}})['subnet']
        ip = '10.50.0.%d' % (10 + pod.i)
        pt = v.port(adm, n, port_security_enabled=False, fixed_ips=[
            {'subnet_id': s['id'], 'ip_address': ip}])
        v.boot(adm, 'xvxlan', pt['id'])
        v.plug(pod, pt['id'], static=ip + '/24')
        host = adm.network('GET', '/v2.0/ports/' + pt['id'])['port'][
            'binding:host_id']
        vm[pod.name] = (adm, n, s, pt, ip, host)
    a, b = pods
    for me, other in ((a, b), (b, a)):
        adm, n, s = vm[me.name][:3]
        opt, oip, ohost = vm[other.name][3:]
        tun = und_ip(other, other.nodes.index(ohost))
        tell(me, {'agents': [(ohost, tun)]})
        sh = adm.network('POST', '/v2.0/ports', {'port': {
            'network_id': n['id'], 'name': 'shadow', 'mac_address':
            opt['mac_address'], 'binding:host_id': ohost,
            'device_owner': 'compute:shadow', 'fixed_ips': [
                {'subnet_id': s['id'], 'ip_address': oip}],
            'port_security_enabled': False}})['port']
        v.check('%s binds the shadow port to %s' % (me.name, ohost),
                sh['binding:vif_type'] == 'ovs', sh['binding:vif_type'])
        tell(me, {'up': [(sh['id'], ohost)]})
        st = adm.network('GET', '/v2.0/ports/' + sh['id'])['port']['status']
        v.check('%s shadow port' % me.name, st == 'ACTIVE', st)
    for me, other in ((a, b), (b, a)):
        r = v.ping(vm[me.name][5], 'vm-' + vm[me.name][3]['id'][:8],
                   vm[other.name][4], tries=15)
        v.check('VXLAN %d %s to %s' % (vni, me.name, other.name), r, r)
        print(nsrun(vm[me.name][5], ['sh', '-c',
              'ovs-vsctl show | grep remote_ip']).strip())
    for pod in pods:
        adm, n, s, pt = vm[pod.name][:4]
        v.unplug(pod, pt['id'])
        for sv in adm.compute('GET', '/servers?name=xvxlan')['servers']:
            adm.compute('DELETE', '/servers/' + sv['id'])
        time.sleep(2)
        for x in adm.network('GET', '/v2.0/ports?network_id=' + n['id']
                             )['ports']:
            adm.network('DELETE', '/v2.0/ports/' + x['id'])
        adm.network('DELETE', '/v2.0/networks/' + n['id'])
        for x in adm.network('GET', '/v2.0/agents')['agents']:
            if x['host'] not in pod.nodes:       # the shadow agents
                adm.network('DELETE', '/v2.0/agents/' + x['id'])
    print('%d passed, %d failed' % (v.passed, v.failed))
    return 1 if v.failed else 0


if __name__ == '__main__':
    if sys.argv[1:2] == ['--rpc']:
        rpc(sys.argv[2], json.loads(sys.argv[3]))
    else:
        sys.exit(main())

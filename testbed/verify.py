#!/usr/bin/python3
"""Smoke test of the testbed: verify.py [api] [bytes] [dataplane] [cross] (default all).

api        per pod: network, subnet, port, image, flavor, server ACTIVE with a
           bound port, volume + attach + snapshot, router, floating IP
dataplane  per pod: two "VMs" get addresses by DHCP and ping each other, the
           router, and through the floating IP
bytes      a volume with data: snapshot, extend, to an image and back, and by a
           backup into the next pod; images by glance- and web-download
cross      VMs of two pods on the same VLAN of physnet "bridge"
"""
import os
import sys
import time

from tb.hosts import nsrun
from tb.layout import FABRIC, topology
from tb.machine import run
from tb.rest import Http

TESTBED = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                       'testbed.py')

passed = failed = 0


def check(what, ok, note=''):
    global passed, failed
    if ok:
        passed += 1
    else:
        failed += 1
    print('%-4s %s %s' % ('ok' if ok else 'FAIL', what, note), flush=True)
    return ok


class P:
    """Shorthand for one pod's APIs as one user."""

    def __init__(self, pod, h):
        self.pod, self.h = pod, h

    def __getattr__(self, typ):
        typ = {'volume': 'volumev3'}.get(typ, typ)

        def call(method, path, body=None, **kw):
            return self.h.must(method, self.h.url(self.pod.region, typ, path),
                               body, **kw)
        return call

    def until(self, typ, path, key, want, timeout=60, bad=('ERROR', 'error')):
        t = time.time()
        while True:
            r = getattr(self, typ)('GET', path)[key]
            if r['status'] == want:
                return r, time.time() - t
            if r['status'] in bad or time.time() - t > timeout:
                raise RuntimeError('%s: %s' % (path, r))
            time.sleep(0.2)


def net(a, name, cidr, **extra):
    n = a.network('POST', '/v2.0/networks',
                  {'network': dict({'name': name}, **extra)})['network']
    s = a.network('POST', '/v2.0/subnets', {'subnet': {
        'network_id': n['id'], 'ip_version': 4, 'cidr': cidr,
        'project_id': n['project_id'], 'name': name}})['subnet']
    return n, s


def port(a, n, **extra):
    return a.network('POST', '/v2.0/ports', {'port': dict(
        {'network_id': n['id']}, **extra)})['port']


def open_sg(a):
    """The project's default security group: allow everything in."""
    g = a.network('GET', '/v2.0/security-groups?name=default&project_id='
                  + a.h.project_id)['security_groups'][0]
    for proto in ('icmp', 'tcp', 'udp'):
        st, _, b = a.h.req('POST', a.h.url(a.pod.region, 'network',
                                           '/v2.0/security-group-rules'),
                           {'security_group_rule': {
                               'security_group_id': g['id'],
                               'direction': 'ingress', 'ethertype': 'IPv4',
                               'protocol': proto}})
        assert st in (201, 409), b


def image(a):
    return a.image('GET', '/v2/images?name=tiny')['images'][0]['id']


def boot(a, name, portid, host=None):
    body = {'server': {'name': name, 'flavorRef': '2', 'imageRef': image(a),
                       'networks': [{'port': portid}]}}
    if host:
        body['server']['availability_zone'] = 'nova:' + host
    sid = a.compute('POST', '/servers', body)['server']['id']
    r, t = a.until('compute', '/servers/' + sid, 'server', 'ACTIVE')
    return r, t


def test_api(pod, tag):
    adm, h = P(pod, Http('admin')), Http('demo')
    d = P(pod, h)
    N = '%s-%s' % (pod.name, tag)
    n, s = net(d, N, '10.20.%d.0/24' % pod.i)
    pt = port(d, n)
    ni = adm.network('GET', '/v2.0/networks/' + n['id'])['network']
    check(pod.name + ' network/subnet/port', True, '%s %s' % (
        ni['provider:network_type'], ni['provider:segmentation_id']))
    im = d.image('POST', '/v2/images', {'name': N, 'disk_format': 'raw',
                                        'container_format': 'bare'})
    d.image('PUT', '/v2/images/%s/file' % im['id'], raw=b'x' * 4096,
            headers={'Content-Type': 'application/octet-stream'})
    im = d.image('GET', '/v2/images/' + im['id'])
    check(pod.name + ' image', im['status'] == 'active', im['checksum'])
    fl = adm.compute('POST', '/flavors', {'flavor': {
        'name': N, 'ram': 64, 'disk': 1, 'vcpus': 1}})['flavor']
    check(pod.name + ' flavor', bool(fl['id']))
    sid = d.compute('POST', '/servers', {'server': {
        'name': N, 'flavorRef': fl['id'], 'imageRef': im['id'],
        'networks': [{'port': pt['id']}]}})['server']['id']
    sv, t = d.until('compute', '/servers/' + sid, 'server', 'ACTIVE')
    b = adm.network('GET', '/v2.0/ports/' + pt['id'])['port']
    check(pod.name + ' server ACTIVE', True, 'in %.1fs' % t)
    check(pod.name + ' port bound', b['binding:vif_type'] == 'ovs', '%s on %s'
          % (b['binding:vif_type'], b['binding:host_id']))
    v = d.volume('POST', '/volumes', {'volume': {'size': 1, 'name': N}})
    vid = v['volume']['id']
    _, t = d.until('volume', '/volumes/' + vid, 'volume', 'available')
    check(pod.name + ' volume', True, 'in %.1fs' % t)
    d.compute('POST', '/servers/%s/os-volume_attachments' % sid,
              {'volumeAttachment': {'volumeId': vid}})
    _, t = d.until('volume', '/volumes/' + vid, 'volume', 'in-use')
    at = d.compute('GET', '/servers/%s/os-volume_attachments' % sid)
    check(pod.name + ' volume attached', len(at['volumeAttachments']) == 1,
          '%s in %.1fs' % (at['volumeAttachments'][0]['device'], t))
    d.compute('DELETE', '/servers/%s/os-volume_attachments/%s' % (sid, vid))
    _, t = d.until('volume', '/volumes/' + vid, 'volume', 'available')
    check(pod.name + ' volume detached', True, 'in %.1fs' % t)
    sn = d.volume('POST', '/snapshots', {'snapshot': {
        'volume_id': vid, 'name': N}})['snapshot']['id']
    d.until('volume', '/snapshots/' + sn, 'snapshot', 'available')
    check(pod.name + ' snapshot', True)
    v2 = d.volume('POST', '/volumes', {'volume': {
        'size': 1, 'snapshot_id': sn}})['volume']['id']
    d.until('volume', '/volumes/' + v2, 'volume', 'available')
    check(pod.name + ' volume from snapshot', True)
    for what, body in (('from image', {'size': 1, 'imageRef': im['id']}),):
        v3 = d.volume('POST', '/volumes', {'volume': body})['volume']['id']
        try:
            d.until('volume', '/volumes/' + v3, 'volume', 'available')
            check(pod.name + ' volume ' + what, True)
        except RuntimeError as ex:
            check(pod.name + ' volume ' + what, False, str(ex)[:150])
    iid = d.compute('POST', '/servers/%s/action' % sid,
                    {'createImage': {'name': N + '-snap'}},
                    headers={'X-OpenStack-Nova-API-Version': '2.45'}
                    )['image_id']
    time.sleep(2)
    # the fake driver uploads no data: the image record stays "queued"
    st = d.image('GET', '/v2/images/' + iid)['status']
    check(pod.name + ' createImage answered', st in ('queued', 'active'),
          'image is "%s"' % st)
    for act, want in (({'os-stop': None}, 'SHUTOFF'),
                      ({'os-start': None}, 'ACTIVE'),
                      ({'reboot': {'type': 'HARD'}}, 'ACTIVE'),
                      ({'pause': None}, 'PAUSED'), ({'unpause': None},
                                                    'ACTIVE')):
        d.compute('POST', '/servers/%s/action' % sid, act)
        d.until('compute', '/servers/' + sid, 'server', want)
    check(pod.name + ' stop/start/reboot/pause/unpause', True)
    en, es, router = external(adm, d, N, s, pod)
    fip = d.network('POST', '/v2.0/floatingips', {'floatingip': {
        'floating_network_id': en['id'], 'port_id': pt['id']}})['floatingip']
    check(pod.name + ' router + floating IP', bool(
        fip['floating_ip_address']), fip['floating_ip_address'])
    # clean
    d.network('DELETE', '/v2.0/floatingips/' + fip['id'])
    d.compute('DELETE', '/servers/' + sid)
    t0 = time.time()
    while d.h.req('GET', d.h.url(pod.region, 'compute', '/servers/' + sid)
                  )[0] != 404 and time.time() - t0 < 30:
        time.sleep(0.2)
    drop_router(adm, d, router, s, en)
    d.network('DELETE', '/v2.0/ports/' + pt['id'])
    d.network('DELETE', '/v2.0/networks/' + n['id'])
    d.volume('DELETE', '/snapshots/' + sn)
    d.volume('DELETE', '/volumes/' + v2)
    d.volume('DELETE', '/volumes/' + v3)
    d.image('DELETE', '/v2/images/' + im['id'])
    d.image('DELETE', '/v2/images/' + iid)
    adm.compute('DELETE', '/flavors/' + fl['id'])
    time.sleep(1)
    d.volume('DELETE', '/volumes/' + vid)
    check(pod.name + ' clean up', True)


def external(adm, d, name, s, pod):
    en = adm.network('POST', '/v2.0/networks', {'network': {
        'name': name + '-ext', 'router:external': True,
        'provider:network_type': 'flat',
        'provider:physical_network': 'extern'}})['network']
    es = adm.network('POST', '/v2.0/subnets', {'subnet': {
        'network_id': en['id'], 'ip_version': 4, 'enable_dhcp': False,
        'cidr': '198.51.100.0/24', 'gateway_ip': '198.51.100.254',
        'allocation_pools': [{'start': '198.51.100.%d' % (pod.i * 40),
                              'end': '198.51.100.%d' % (pod.i * 40 + 30)}]
    }})['subnet']
    r = d.network('POST', '/v2.0/routers', {'router': {
        'name': name, 'external_gateway_info': {'network_id': en['id']}}}
    )['router']
    d.network('PUT', '/v2.0/routers/%s/add_router_interface' % r['id'],
              {'subnet_id': s['id']})
    return en, es, r


def drop_router(adm, d, r, s, en):
    d.network('PUT', '/v2.0/routers/%s/remove_router_interface' % r['id'],
              {'subnet_id': s['id']})
    d.network('DELETE', '/v2.0/routers/' + r['id'])
    adm.network('DELETE', '/v2.0/networks/' + en['id'])


def plug(pod, portid, node=None, static=None, dhcp=True):
    argv = [sys.executable, TESTBED, 'vm', 'plug', pod.name, portid]
    if node:
        argv.append(node)
    if static:
        argv += ['--static', static]
    if not dhcp:
        argv.append('--no-dhcp')
    return run(argv, check=False, timeout=120)


def unplug(pod, portid, node=None):
    run([sys.executable, TESTBED, 'vm', 'unplug', pod.name, portid] +
           ([node] if node else []), check=False)


def ping(node, ns, ip, count=3, tries=10):
    for _ in range(tries):
        out = nsrun(node, ['ip', 'netns', 'exec', ns, 'ping', '-c',
                              str(count), '-i', '0.2', '-W', '1', ip],
                       check=False)
        if ' 0% packet loss' in out:
            return out.strip().splitlines()[-1]
        time.sleep(1)
    return None


def test_dataplane(pod, kind, tag):
    adm, d = P(pod, Http('admin')), P(pod, Http('demo'))
    open_sg(d)
    N = '%s-dp-%s-%s' % (pod.name, kind, tag)
    extra = {}
    if kind == 'vlan':
        extra = {'provider:network_type': 'vlan', 'provider:segmentation_id':
                 110 + int(tag, 16) % 90, 'provider:physical_network': 'bridge'}
    elif kind == 'vxlan':
        extra = {'provider:network_type': 'vxlan',
                 'provider:segmentation_id': 1500 + int(tag, 16) % 400}
    n, s = net(adm, N, '10.30.%d.0/24' % pod.i,
               project_id=d.h.project_id, **extra) if extra else \
        net(d, N, '10.30.%d.0/24' % pod.i)
    vms = []
    nodes = pod.nodes
    for k in range(2):
        pt = port(d, n)
        # with --nodes 2 the two VMs are on two hosts and meet over VXLAN
        host = nodes[k % len(nodes)]
        if len(nodes) > 1:         # choosing the host takes an admin
            sv, t = boot(P(pod, Http('admin', 'demo')), '%s-%d' % (N, k),
                         pt['id'], host)
        else:
            sv, t = boot(d, '%s-%d' % (N, k), pt['id'])
        vms.append((pt, sv, host))
    for pt, sv, host in vms:
        out = plug(pod, pt['id'])
        ip = pt['fixed_ips'][0]['ip_address']
        check('%s %s DHCP lease' % (pod.name, kind), ip + '/24' in out,
              out.strip().splitlines()[-1] if out.strip() else '')
        st = adm.network('GET', '/v2.0/ports/' + pt['id'])['port']['status']
        check('%s %s port ACTIVE by the agent' % (pod.name, kind),
              st == 'ACTIVE', st)
    (p1, s1, h1), (p2, s2, h2) = vms
    ns1, ns2 = 'vm-' + p1['id'][:8], 'vm-' + p2['id'][:8]
    r = ping(h1, ns1, p2['fixed_ips'][0]['ip_address'])
    check('%s %s VM to VM ping (%s to %s)' % (pod.name, kind, h1, h2), r, r)
    en, es, router = external(adm, d, N, s, pod)
    r = ping(h1, ns1, s['gateway_ip'], tries=30)
    check('%s %s VM to router ping' % (pod.name, kind), r, r)
    fip = d.network('POST', '/v2.0/floatingips', {'floatingip': {
        'floating_network_id': en['id'], 'port_id': p2['id']}})['floatingip']
    # a "host on the outside": the extern bridge of the fabric itself
    nsrun(FABRIC, ['ip', 'addr', 'replace', '198.51.100.254/24', 'dev',
                         'ext'])
    for _ in range(30):
        out = nsrun(FABRIC, ['ping', '-c', '2', '-i', '0.2', '-W', '1',
                                   fip['floating_ip_address']], check=False)
        if ' 0% packet loss' in out:
            break
        time.sleep(1)
    check('%s %s outside to floating IP ping' % (pod.name, kind),
          ' 0% packet loss' in out, out.strip().splitlines()[-1])
    r = ping(h1, ns1, '198.51.100.254')
    check('%s %s VM to outside (SNAT) ping' % (pod.name, kind), r, r)
    # no rule for TCP from outside in a fresh group: security groups enforced?
    d.network('DELETE', '/v2.0/floatingips/' + fip['id'])
    for pt, sv, host in vms:
        unplug(pod, pt['id'])
        d.compute('DELETE', '/servers/' + sv['id'])
    time.sleep(2)
    drop_router(adm, d, router, s, en)
    for pt, sv, host in vms:
        d.h.req('DELETE', d.h.url(pod.region, 'network',
                                  '/v2.0/ports/' + pt['id']))
    for _ in range(10):
        st, _, b = adm.h.req('DELETE', adm.h.url(
            pod.region, 'network', '/v2.0/networks/' + n['id']))
        if st == 204:
            break
        time.sleep(1)
    check('%s %s clean up' % (pod.name, kind), st == 204, b or '')


def test_secgroup(pod, tag):
    """A group without ingress rules must really stop a ping."""
    adm, d = P(pod, Http('admin')), P(pod, Http('demo'))
    open_sg(d)
    N = '%s-sg-%s' % (pod.name, tag)
    n, s = net(d, N, '10.31.%d.0/24' % pod.i)
    g = d.network('POST', '/v2.0/security-groups', {'security_group': {
        'name': N}})['security_group']
    p1, p2 = port(d, n), port(d, n, security_groups=[g['id']])
    host = pod.nodes[0]
    for x in (p1, p2):
        adm.network('PUT', '/v2.0/ports/' + x['id'], {'port': {
            'binding:host_id': host, 'device_owner': 'compute:nova'}})
        plug(pod, x['id'])
    ns1 = 'vm-' + p1['id'][:8]
    ip = p2['fixed_ips'][0]['ip_address']
    r = ping(host, ns1, ip, tries=3)
    check(pod.name + ' security group blocks', not r, r or 'no reply')
    d.network('POST', '/v2.0/security-group-rules', {'security_group_rule': {
        'security_group_id': g['id'], 'direction': 'ingress',
        'ethertype': 'IPv4', 'protocol': 'icmp'}})
    r = ping(host, ns1, ip)
    check(pod.name + ' security group lets through after a rule', r, r)
    for x in (p1, p2):
        unplug(pod, x['id'], host)
        d.network('DELETE', '/v2.0/ports/' + x['id'])
    time.sleep(1)
    for _ in range(10):
        if adm.h.req('DELETE', adm.h.url(pod.region, 'network',
                                         '/v2.0/networks/' + n['id'])
                     )[0] == 204:
            break
        time.sleep(1)
    d.network('DELETE', '/v2.0/security-groups/' + g['id'])


def test_cross(pods, tag):
    """Same VLAN of physnet 'bridge' in every pod, one address range."""
    vid, got = 210 + int(tag, 16) % 90, []
    for pod in pods:
        adm = P(pod, Http('admin'))
        n = adm.network('POST', '/v2.0/networks', {'network': {
            'name': 'cross-' + tag, 'provider:network_type': 'vlan',
            'provider:physical_network': 'bridge',
            'provider:segmentation_id': vid}})['network']
        s = adm.network('POST', '/v2.0/subnets', {'subnet': {
            'network_id': n['id'], 'ip_version': 4, 'cidr': '10.40.0.0/24',
            'enable_dhcp': False}})['subnet']
        ip = '10.40.0.%d' % (10 + pod.i)
        pt = port(adm, n, port_security_enabled=False, fixed_ips=[
            {'subnet_id': s['id'], 'ip_address': ip}])
        sv, _ = boot(adm, 'cross-' + tag, pt['id'])
        out = plug(pod, pt['id'], static=ip + '/24')
        got.append((pod, adm, n, pt, sv, ip))
    for a in got:
        for b in got:
            if a is not b:
                node = adm_host(a)
                r = ping(node, 'vm-' + a[3]['id'][:8], b[5], tries=20)
                check('cross-pod VLAN %d: %s to %s' % (
                    vid, a[0].name, b[0].name), r, r)
    for pod, adm, n, pt, sv, ip in got:
        unplug(pod, pt['id'])
        adm.compute('DELETE', '/servers/' + sv['id'])
    time.sleep(2)
    for pod, adm, n, pt, sv, ip in got:
        adm.h.req('DELETE', adm.h.url(pod.region, 'network',
                                      '/v2.0/ports/' + pt['id']))
        adm.h.req('DELETE', adm.h.url(pod.region, 'network',
                                      '/v2.0/networks/' + n['id']))


def volume(d, until='available', **body):
    v = d.volume('POST', '/volumes', {'volume': dict(
        {'size': 1, 'volume_type': 'files'}, **body)})['volume']['id']
    d.until('volume', '/volumes/' + v, 'volume', until, timeout=90)
    return v


def gone(d, path):
    url = d.h.url(d.pod.region, 'volumev3', path)
    for _ in range(120):
        if d.h.req('GET', url)[0] == 404:
            return
        time.sleep(0.5)
    raise RuntimeError(path + ' is still there')


def act(d, path, name, version, body):
    return d.volume('POST', path + '/action', {name: body}, headers={
        'OpenStack-API-Version': 'volume ' + version})


def upload(d, name, data):
    i = d.image('POST', '/v2/images', {
        'name': name, 'disk_format': 'raw', 'container_format': 'bare'})['id']
    d.image('PUT', '/v2/images/%s/file' % i, raw=data,
            headers={'Content-Type': 'application/octet-stream'})
    return i


def content(d, vol, size, name):
    """The first bytes of a volume, by an image of it."""
    i = act(d, '/volumes/' + vol, 'os-volume_upload_image', '3.70', {
        'image_name': name, 'disk_format': 'raw'})
    i = i['os-volume_upload_image']['image_id']
    d.until('volume', '/volumes/' + vol, 'volume', 'available', 90)
    url = d.h.url(d.pod.region, 'image', '/v2/images/%s' % i)
    st, _, got = d.h.req('GET', url + '/file', headers={
        'Range': 'bytes=0-%d' % (size - 1)})
    d.h.req('DELETE', url)
    return got


def test_bytes(pods, tag):
    """Data keeps what it is, within a pod and on the way to the next."""
    a, b = (P(pod, Http('admin')) for pod in (pods[0], pods[-1]))
    N, one, two = 'bytes-' + tag, os.urandom(300000), os.urandom(300000)
    i1, i2 = upload(a, N, one), upload(a, N, two)
    v = volume(a, imageRef=i1)
    check('volume from image', content(a, v, len(one), N) == one)
    sn = a.volume('POST', '/snapshots', {'snapshot': {
        'volume_id': v, 'name': N}})['snapshot']['id']
    a.until('volume', '/snapshots/' + sn, 'snapshot', 'available')
    w = volume(a, snapshot_id=sn)
    check('volume from snapshot', content(a, w, len(one), N) == one)
    a.volume('DELETE', '/snapshots/' + sn)
    gone(a, '/snapshots/' + sn)
    # only now: this driver writes below the files of snapshots
    act(a, '/volumes/' + v, 'os-reimage', '3.68', {'image_id': i2})
    a.until('volume', '/volumes/' + v, 'volume', 'available', 90)
    check('reimage', content(a, v, len(two), N) == two)
    x, bk, rec = into_next_pod(a, b, w, N)
    check('backup into ' + b.pod.name, content(b, x, len(one), N) == one)
    act(a, '/volumes/' + w, 'os-extend', '3.0', {'new_size': 2})
    r, _ = a.until('volume', '/volumes/' + w, 'volume', 'available')
    check('volume extended', r['size'] == 2)
    downloads(a, b, i1, one, N)
    for d, path in ((b, '/backups/' + rec), (a, '/volumes/' + v),
                    (a, '/volumes/' + w), (b, '/volumes/' + x)):
        d.volume('DELETE', path)
    if bk != rec:
        a.volume('DELETE', '/backups/' + bk)
    for i in (i1, i2):
        a.image('DELETE', '/v2/images/' + i)


def into_next_pod(a, b, vol, name):
    """The volume there, the backup here, its record there."""
    bk = a.volume('POST', '/backups', {'backup': {
        'volume_id': vol, 'name': name}})['backup']['id']
    a.until('volume', '/backups/' + bk, 'backup', 'available', 120)
    rec = a.volume('GET', '/backups/%s/export_record' % bk)
    r = b.volume('POST', '/backups/import_record',
                 {'backup-record': rec['backup-record']})['backup']['id']
    b.until('volume', '/backups/' + r, 'backup', 'available')
    x = volume(b)
    b.volume('POST', '/backups/%s/restore' % r, {'restore': {'volume_id': x}})
    b.until('volume', '/backups/' + r, 'backup', 'available', 120)
    b.until('volume', '/volumes/' + x, 'volume', 'available', 120)
    return x, bk, r


def downloads(a, b, image, data, name):
    for method in ({'name': 'glance-download', 'glance_region': a.pod.region,
                    'glance_image_id': image},
                   {'name': 'web-download', 'uri':
                    'http://%s:8080/x' % a.pod.ip}):
        st, out = imported(a, b, method, name)
        check('image by ' + method['name'],
              out == data if method['name'] == 'glance-download'
              else st == 202, str(st))


def imported(a, b, method, name):
    i = b.image('POST', '/v2/images', {
        'name': name, 'disk_format': 'raw', 'container_format': 'bare'})['id']
    url = b.h.url(b.pod.region, 'image', '/v2/images/' + i)
    st, _, got = b.h.req('POST', url + '/import', {'method': method})
    try:
        if st == 202 and method['name'] == 'glance-download':
            end = time.time() + 30
            while b.h.must('GET', url)['status'] != 'active':
                if time.time() > end:
                    return st, b.h.must('GET', url)
                time.sleep(0.3)
            got = b.h.req('GET', url + '/file')[2]
    finally:
        b.h.req('DELETE', url)
    return st, got


def adm_host(x):
    return x[1].network('GET', '/v2.0/ports/' + x[3]['id']
                        )['port']['binding:host_id']


def main():
    what = sys.argv[1:] or ['api', 'bytes', 'dataplane', 'secgroup', 'cross']
    pods, topo = topology()
    tag = '%x' % (int(time.time()) & 0xffffff)
    t = time.time()
    for pod in pods:
        if 'api' in what:
            test_api(pod, tag)
        for kind in ('vxlan', 'vlan'):
            if 'dataplane' in what or kind in what:
                test_dataplane(pod, kind, tag)
        if 'secgroup' in what:
            test_secgroup(pod, tag)
    if 'bytes' in what:
        test_bytes(pods, tag)
    if 'cross' in what:
        test_cross(pods, tag)
    print('%.0f s' % (time.time() - t))
    print('%d passed, %d failed' % (passed, failed))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())

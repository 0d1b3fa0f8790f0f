"""The services of a pod, whether they are healthy, and what a pod holds from
the start."""
from tb import files
from tb.database import sql
from tb.machine import state
from tb.process import spawn
from tb.rest import Http, http_ok


def start_pod(pod):
    n = pod.name
    b = state('bin')
    files.mount(pod)
    spawn(n + '-placement', ['uwsgi', '--ini',
                             state('etc', 'uwsgi-%s-placement.ini' % n)])
    novac = ['--config-file', state(n, 'nova.conf'),
             '--config-file', state(n, 'nova-db.conf')]
    spawn(n + '-nova-conductor', [b + '/nova-conductor'] + novac)
    spawn(n + '-nova-scheduler', [b + '/nova-scheduler'] + novac)
    spawn(n + '-nova-api', [b + '/nova-api-os-compute'] + novac)
    spawn(n + '-neutron-server', ['/usr/bin/neutron-server', '--config-file',
                                  state(n, 'neutron.conf')])
    cin = ['--config-file', state(n, 'cinder.conf')]
    spawn(n + '-cinder-api', [b + '/cinder-api'] + cin)
    spawn(n + '-cinder-scheduler', [b + '/cinder-scheduler'] + cin)
    spawn(n + '-cinder-volume', [b + '/cinder-volume'] + cin)
    spawn(n + '-cinder-backup', [b + '/cinder-backup'] + cin)
    spawn(n + '-glance-api', [b + '/glance-api', '--config-file',
                              state(n, 'glance.conf')])


def start_computes(pod):
    for node in pod.nodes:
        spawn(node + '-nova-compute', [
            state('bin') + '/nova-compute', '--config-file',
            state(pod.name, 'nova.conf'), '--config-file',
            state(pod.name, 'nova-%s.conf' % node)])


APIS = {'placement': 8778, 'nova': 8774, 'neutron': 9696, 'glance': 9292,
        'cinder': 8776}


def answers(pod, api):
    try:
        return http_ok('http://%s:%d/' % (pod.ip, APIS[api]))
    except OSError:
        return False


def pod_health(pod, dataplane):
    """None when healthy, else what is missing."""
    for api in APIS:
        if not answers(pod, api):
            return api + ' API'
    h = Http('admin', 'admin')
    up = h.must('GET', h.url(pod.region, 'compute', '/os-services'))
    got = {(s['binary'], s['host']) for s in up['services']
           if s['state'] == 'up'}
    bins = {b for b, _ in got}
    for b in ('nova-scheduler', 'nova-conductor'):
        if b not in bins:
            return b
    for n in pod.nodes:
        if ('nova-compute', n) not in got:
            return 'nova-compute ' + n
    up = h.must('GET', h.url(pod.region, 'volumev3', '/os-services'))
    got = {(s['binary'], s['host']) for s in up['services']
           if s['state'] == 'up'}
    for b, host in (('cinder-scheduler', pod.name),
                    ('cinder-volume', pod.name + '@fake'),
                    ('cinder-volume', pod.name + '@files'),
                    ('cinder-backup', pod.name)):
        if (b, host) not in got:
            return '%s on %s' % (b, host)
    up = h.must('GET', h.url(pod.region, 'network', '/v2.0/agents'))
    got = {(a['binary'], a['host']) for a in up['agents'] if a['alive']}
    for k, n in enumerate(pod.nodes):
        for b in (('neutron-openvswitch-agent', 'neutron-dhcp-agent',
                   'neutron-l3-agent') if dataplane and k == 0 else
                  ('neutron-openvswitch-agent',)):
            if (b, n) not in got:
                return '%s on %s' % (b, n)
    return None


def finish_pod(pod):
    """Hosts to cells, two flavors, two volume types, tiny image."""
    want = len(pod.nodes)
    if int(sql('select count(*) from %s_nova_api.host_mappings'
               % pod.name)) < want:
        # = nova-manage cell_v2 discover_hosts
        sql("insert into {0}_nova_api.host_mappings (created_at, cell_id, "
            "host) select now(), c.id, n.host from {0}_nova.compute_nodes n "
            "join {0}_nova_api.cell_mappings c on c.name='cell1' where "
            "n.deleted=0 and n.host not in (select host from "
            "{0}_nova_api.host_mappings); update {0}_nova.compute_nodes set "
            "mapped=1;".format(pod.name))
    h = Http('admin', 'admin')
    fl = h.must('GET', h.url(pod.region, 'compute', '/flavors'))['flavors']
    if not any(f['name'] == 'm1.tiny' for f in fl):
        for fid, nm, ram, disk, cpu in ((1, 'm1.tiny', 64, 1, 1),
                                        (2, 'm1.small', 512, 1, 1)):
            h.must('POST', h.url(pod.region, 'compute', '/flavors'),
                   {'flavor': {'name': nm, 'id': str(fid), 'ram': ram,
                               'disk': disk, 'vcpus': cpu}})
    ty = h.must('GET', h.url(pod.region, 'volumev3', '/types'))
    for name in ('fake', 'files'):
        if not any(t['name'] == name for t in ty['volume_types']):
            h.must('POST', h.url(pod.region, 'volumev3', '/types'),
                   {'volume_type': {'name': name, 'extra_specs': {
                       'volume_backend_name': name}}})
    im = h.must('GET', h.url(pod.region, 'image', '/v2/images'))['images']
    if not any(i['name'] == 'tiny' for i in im):
        i = h.must('POST', h.url(pod.region, 'image', '/v2/images'),
                   {'name': 'tiny', 'disk_format': 'raw', 'visibility':
                    'public', 'container_format': 'bare'})
        h.must('PUT', h.url(pod.region, 'image', '/v2/images/%s/file'
                            % i['id']), raw=b'\0' * 65536,
               headers={'Content-Type': 'application/octet-stream'})

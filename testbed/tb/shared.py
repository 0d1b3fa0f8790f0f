"""What the pods share: RabbitMQ, memcached and Keystone with its contents."""
import base64
import hashlib
import json
import os
import uuid

from tb.database import load_schema, sql
from tb.layout import KEYSTONE, PW, SHARED, TOP_REGION
from tb.machine import STATE, run, state, wait, write
from tb.process import spawn
from tb.rest import Http, http_ok, port_open

SVC_USERS = ('nova', 'neutron', 'cinder', 'glance', 'placement')


def rabbit_hash(pw):
    salt = os.urandom(4)
    return base64.b64encode(
        salt + hashlib.sha256(salt + pw.encode()).digest()).decode()


def start_rabbit(pods):
    home = state('rabbit')
    os.makedirs(home, exist_ok=True)
    # definitions are read at boot only: have room for pods added later
    vhosts = ['/', 'keystone'] + ['pod%d' % (i + 1) for i in range(9)]
    write(state('rabbit', 'definitions.json'), json.dumps({
        'users': [{'name': 'tb', 'password_hash': rabbit_hash(PW),
                   'hashing_algorithm': 'rabbit_password_hashing_sha256',
                   'tags': 'administrator'}],
        'vhosts': [{'name': v} for v in vhosts],
        'permissions': [{'user': 'tb', 'vhost': v, 'configure': '.*',
                         'write': '.*', 'read': '.*'} for v in vhosts]}))
    write(state('rabbit', 'rabbitmq.conf'),
          'listeners.tcp.default = %s:5672\n'
          'load_definitions = %s\n'
          'vm_memory_high_watermark.absolute = 1GB\n'
          'log.file.level = warning\n' % (SHARED,
                                          state('rabbit', 'definitions.json')))
    write(state('rabbit', 'enabled_plugins'), '[].\n')
    write(state('rabbit', 'env.conf'), '')
    cookie = state('rabbit', '.erlang.cookie')
    if not os.path.exists(cookie):
        write(cookie, uuid.uuid4().hex, 0o400)
    spawn('epmd', ['epmd', '-address', '127.0.0.1', '-port', '4379'])
    spawn('rabbitmq', ['/usr/lib/rabbitmq/bin/rabbitmq-server'],
          env=rabbit_env())
    wait('rabbitmq', lambda: port_open(SHARED, 5672), 90)


def rabbit_env():
    return {'HOME': state('rabbit'), 'RABBITMQ_NODENAME': 'tb@localhost',
            'ERL_EPMD_PORT': '4379',
            'RABBITMQ_CONF_ENV_FILE': state('rabbit', 'env.conf'),
            'RABBITMQ_CONFIG_FILE': state('rabbit', 'rabbitmq'),
            'RABBITMQ_ENABLED_PLUGINS_FILE': state('rabbit', 'enabled_plugins'),
            'RABBITMQ_MNESIA_BASE': state('rabbit', 'mnesia'),
            'RABBITMQ_LOG_BASE': state('logs'),
            'RABBITMQ_DIST_PORT': '25679',
            'RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS':
                '+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none '
                '-kernel inet_dist_use_interface {127,0,0,1}'}


def start_memcached():
    spawn('memcached', ['memcached', '-u', 'root', '-l', SHARED, '-p',
                        '11211', '-m', '64', '-t', '1'])


def start_keystone():
    load_schema('keystone', 'keystone')
    if sql('select count(*) from keystone.project where name="admin"'
           ).strip() == '0':
        run(['/usr/bin/keystone-manage', '--config-file',
             state('etc', 'keystone.conf'), 'bootstrap',
             '--bootstrap-password', PW,
             '--bootstrap-region-id', TOP_REGION,
             '--bootstrap-public-url', KEYSTONE + '/v3',
             '--bootstrap-internal-url', KEYSTONE + '/v3',
             '--bootstrap-admin-url', KEYSTONE + '/v3'])
    spawn('keystone', ['uwsgi', '--ini', state('etc', 'uwsgi-keystone.ini')],
          env={'HOME': STATE})
    wait('keystone', lambda: http_ok(KEYSTONE + '/v3'), 60)


def ensure(h, coll, key, body, **match):
    """Find by attributes or create; returns the id."""
    base = KEYSTONE + '/v3/' + coll
    q = '&'.join('%s=%s' % kv for kv in match.items())
    got = h.must('GET', base + ('?' + q if q else ''))[coll]
    if got:
        return got[0]['id']
    return h.must('POST', base, {key: body})[key]['id']


def fill_keystone(pods):
    h = Http('admin', 'admin')
    v3 = KEYSTONE + '/v3'
    dom = 'default'

    def project(name):
        return ensure(h, 'projects', 'project',
                      {'name': name, 'domain_id': dom}, name=name)

    def user(name, proj):
        return ensure(h, 'users', 'user',
                      {'name': name, 'domain_id': dom, 'password': PW,
                       'default_project_id': proj}, name=name)

    def role(name):
        return ensure(h, 'roles', 'role', {'name': name}, name=name)

    def grant(proj, usr, rol):
        h.must('PUT', v3 + '/projects/%s/users/%s/roles/%s'
               % (proj, usr, rol), ok=(204,))

    r_admin, r_member, r_service = role('admin'), role('member'), role('service')
    svc = project('service')
    for u in SVC_USERS:
        uid = user(u, svc)
        grant(svc, uid, r_admin)
        grant(svc, uid, r_service)
    adm = h.must('GET', v3 + '/users?name=admin')['users'][0]['id']
    for t in ('demo', 'alt'):
        pr = project(t)
        grant(pr, user(t, pr), r_member)
        grant(pr, adm, r_admin)     # admin may act inside the tenants, too

    regions = {r['id'] for r in h.must('GET', v3 + '/regions')['regions']}
    for pod in pods:
        if pod.region not in regions:
            h.must('POST', v3 + '/regions', {'region': {
                'id': pod.region, 'parent_region_id': TOP_REGION,
                'description': pod.name}})
    services = {s['type']: s['id']
                for s in h.must('GET', v3 + '/services')['services']}
    have = {(e['region_id'], e['service_id'], e['interface'])
            for e in h.must('GET', v3 + '/endpoints')['endpoints']}
    for pod in pods:
        for typ, name, url in (
                ('identity', 'keystone', KEYSTONE + '/v3'),
                ('compute', 'nova', 'http://%s:8774/v2.1' % pod.ip),
                ('placement', 'placement', 'http://%s:8778' % pod.ip),
                ('network', 'neutron', 'http://%s:9696' % pod.ip),
                ('image', 'glance', 'http://%s:9292' % pod.ip),
                ('volumev3', 'cinderv3',
                 'http://%s:8776/v3/$(project_id)s' % pod.ip)):
            if typ not in services:
                services[typ] = h.must('POST', v3 + '/services', {'service': {
                    'type': typ, 'name': name, 'enabled': True}}
                )['service']['id']
            for iface in ('public', 'internal', 'admin'):
                if (pod.region, services[typ], iface) not in have:
                    h.must('POST', v3 + '/endpoints', {'endpoint': {
                        'service_id': services[typ], 'interface': iface,
                        'region_id': pod.region, 'url': url}})


def write_clouds(pods):
    out = ['clouds:']
    for user in ('admin', 'demo', 'alt'):
        for region, tag in [(x.region, x.name) for x in pods] + \
                           [(TOP_REGION, 'top')]:
            out += ['  %s-%s:' % (user, tag),
                    '    region_name: ' + region,
                    '    identity_api_version: 3',
                    '    auth:',
                    '      auth_url: %s/v3' % KEYSTONE,
                    '      username: ' + user, '      password: ' + PW,
                    '      project_name: ' + user,
                    '      user_domain_id: default',
                    '      project_domain_id: default']
            write(state('openrc-%s-%s' % (user, tag)), ''.join(
                'export %s=%s\n' % kv for kv in (
                    ('OS_AUTH_URL', KEYSTONE + '/v3'), ('OS_USERNAME', user),
                    ('OS_PASSWORD', PW), ('OS_PROJECT_NAME', user),
                    ('OS_USER_DOMAIN_ID', 'default'),
                    ('OS_PROJECT_DOMAIN_ID', 'default'),
                    ('OS_IDENTITY_API_VERSION', '3'),
                    ('OS_REGION_NAME', region))))
    write(state('clouds.yaml'), '\n'.join(out) + '\n')

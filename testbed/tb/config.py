"""Configuration files of every service."""
import base64
import os

from tb import files
from tb.layout import KEYSTONE, PHYSNETS, PW, SHARED, TOP_REGION, und_ip
from tb.machine import ini, state, write


def generate(pods):
    """Write them all.  Idempotent; running services do not read them again."""
    launchers()
    keystone()
    for pod in pods:
        for service in (nova, placement, neutron, cinder):
            service(pod)
        glance(pod, pods)


def authtoken(user):
    return {
        'www_authenticate_uri': KEYSTONE, 'auth_url': KEYSTONE,
        'memcached_servers': SHARED + ':11211', 'auth_type': 'password',
        'project_domain_id': 'default', 'user_domain_id': 'default',
        'project_name': 'service', 'username': user, 'password': PW,
        'region_name': TOP_REGION,
        'service_token_roles': 'service', 'service_token_roles_required': 'true',
    }


def client(user, pod, **more):
    d = {'auth_url': KEYSTONE, 'auth_type': 'password',
         'project_domain_id': 'default', 'user_domain_id': 'default',
         'project_name': 'service', 'username': user, 'password': PW,
         'region_name': pod.region}
    d.update(more)
    return d


MESSAGING = {
    'oslo_messaging_rabbit': {'heartbeat_in_pthread': 'false',
                              'rabbit_retry_interval': '1',
                              'rpc_conn_pool_size': '8'},
    'oslo_messaging_notifications': {'driver': 'noop'},
}
DBOPTS = {'max_pool_size': '5', 'max_overflow': '20'}


def common(pod, svc):
    """oslo.log / oslo.messaging / oslo.concurrency options of one service."""
    return {'debug': os.environ.get('TRICIRCLE_TESTBED_DEBUG', 'false'),
            'transport_url': pod.rabbit,
            'rpc_response_timeout': '60',
            'use_journal': 'false',
            'state_path': state(pod.name, 'data', svc)}


def keystone():
    write(state('etc', 'keystone.conf'), ini({
        'DEFAULT': {'debug': 'false', 'transport_url':
                    'rabbit://tb:%s@%s:5672/keystone' % (PW, SHARED),
                    'public_endpoint': KEYSTONE},
        'database': dict(DBOPTS, connection='mysql+pymysql://tb:%s@%s:3306/'
                         'keystone?charset=utf8' % (PW, SHARED)),
        'token': {'provider': 'fernet', 'expiration': '86400'},
        'fernet_tokens': {'key_repository': state('etc', 'fernet-keys')},
        'fernet_receipts': {'key_repository': state('etc', 'fernet-keys')},
        'credential': {'key_repository': state('etc', 'credential-keys')},
        # bcrypt with 12 rounds costs 0.25 s of CPU per password login
        'identity': {'password_hash_rounds': '4'},
        'cache': {'enabled': 'true', 'backend': 'dogpile.cache.memcached',
                  'memcache_servers': SHARED + ':11211'},
        'oslo_messaging_notifications': {'driver': 'noop'},
    }))
    for d in ('fernet-keys', 'credential-keys'):   # = keystone-manage *_setup
        for n in ('0', '1'):
            f = state('etc', d, n)
            if not os.path.exists(f):
                write(f, base64.urlsafe_b64encode(os.urandom(32)).decode(),
                      0o600)
        os.chmod(state('etc', d), 0o700)
    uwsgi('keystone', SHARED, 5000, '/usr/bin/keystone-wsgi-public',
          pyargv='--config-file %s' % state('etc', 'keystone.conf'),
          processes=2, threads=4)


def uwsgi(name, ip, port, wsgi, pyargv='', env=(), processes=1, threads=4):
    opts = [('plugins', 'python3'), ('http-socket', '%s:%d' % (ip, port)),
            ('wsgi-file', wsgi), ('processes', processes),
            ('threads', threads), ('enable-threads', 'true'),
            ('master', 'true' if processes > 1 else 'false'),
            ('lazy-apps', 'true'), ('die-on-term', 'true'),
            ('buffer-size', '65535'), ('listen', '100'),
            ('need-app', 'true'), ('http-socket-keepalive', 'false'),
            ('add-header', 'Connection: close'), ('procname', name)]
    if pyargv:
        opts.append(('pyargv', pyargv))
    for e in env:
        opts.append(('env', e))
    write(state('etc', 'uwsgi-%s.ini' % name),
          '[uwsgi]\n' + ''.join('%s = %s\n' % o for o in opts))


def launchers():
    """Debian ships these two-line launchers in packages that drag in libvirt,
    qemu and init scripts; the code itself is all in python3-nova etc."""
    for name, mod in (('nova-api-os-compute', 'nova.cmd.api_os_compute'),
                      ('nova-api-metadata', 'nova.cmd.api_metadata'),
                      ('nova-scheduler', 'nova.cmd.scheduler'),
                      ('nova-conductor', 'nova.cmd.conductor'),
                      ('nova-compute', 'nova.cmd.compute'),
                      ('cinder-api', 'cinder.cmd.api'),
                      ('cinder-scheduler', 'cinder.cmd.scheduler'),
                      ('cinder-volume', 'cinder.cmd.volume'),
                      ('cinder-backup', 'cinder.cmd.backup'),
                      ('glance-api', 'glance.cmd.api')):
        write(state('bin', name), '#!/usr/bin/python3\nimport sys\n'
              'from %s import main\n'
              'if __name__ == "__main__":\n    sys.exit(main())\n' % mod, 0o755)


def nova(pod):
    c = common(pod, 'nova')
    c.update({
        'my_ip': pod.ip,
        'compute_driver': 'fake.FakeDriver',
        'osapi_compute_listen': pod.ip, 'osapi_compute_workers': '1',
        'metadata_listen': pod.ip, 'metadata_workers': '1',
        'enabled_apis': 'osapi_compute',
        'allow_resize_to_same_host': 'true',
        'instances_path': state(pod.name, 'data', 'nova', 'instances'),
        'update_resources_interval': '60',
        'instance_usage_audit': 'false',
        'sync_power_state_interval': '-1',
    })
    conf = {
        'DEFAULT': c,
        'api': {'auth_strategy': 'keystone'},
        'wsgi': {'api_paste_config': '/usr/share/nova-common/api-paste.ini'},
        'keystone_authtoken': authtoken('nova'),
        'service_user': client('nova', pod, send_service_user_token='true'),
        'placement': client('placement', pod),
        'neutron': client('neutron', pod,
                          service_metadata_proxy='true',
                          metadata_proxy_shared_secret=PW),
        'cinder': client('cinder', pod, os_region_name=pod.region,
                         catalog_info='volumev3::publicURL'),
        'glance': client('glance', pod),
        'keystone': client('nova', pod),
        'scheduler': {'workers': '1'},
        'conductor': {'workers': '1'},
        'oslo_concurrency': {'lock_path': state(pod.name, 'lock')},
        'vnc': {'enabled': 'true', 'server_listen': pod.ip,
                'novncproxy_base_url':
                    'http://%s:6080/vnc_lite.html' % pod.ip},
        'compute': {},
    }
    conf.update(MESSAGING)
    write(state(pod.name, 'nova.conf'), ini(conf))
    # not for nova-compute: with a database URL in sight it tries the
    # database, which it may not, and logs tracebacks at start
    write(state(pod.name, 'nova-db.conf'), ini({
        'api_database': dict(DBOPTS, connection=pod.db('nova_api')),
        'database': dict(DBOPTS, connection=pod.db('nova'))}))
    for n in pod.nodes:        # one nova-compute per "host" of the pod
        write(state(pod.name, 'nova-%s.conf' % n), ini({'DEFAULT': {
            'host': n, 'state_path': state(pod.name, 'data', 'nova', n)}}))
        os.makedirs(state(pod.name, 'data', 'nova', n, 'instances'), exist_ok=True)


def placement(pod):
    write(state(pod.name, 'placement', 'placement.conf'), ini({
        'DEFAULT': {'debug': 'false', 'use_journal': 'false'},
        'api': {'auth_strategy': 'keystone'},
        'placement_database': dict(DBOPTS, connection=pod.db('placement')),
        'keystone_authtoken': authtoken('placement'),
    }))
    uwsgi(pod.name + '-placement', pod.ip, 8778, '/usr/bin/placement-api',
          env=['OS_PLACEMENT_CONFIG_DIR=' + state(pod.name, 'placement')],
          threads=4)


def neutron(pod):
    c = common(pod, 'neutron')
    c.update({
        'bind_host': pod.ip, 'bind_port': '9696',
        'core_plugin': 'ml2', 'service_plugins': 'router,qos,trunk,port_forwarding',
        'api_workers': '0', 'rpc_workers': '1',
        'rpc_state_report_workers': '0',
        'api_paste_config': '/usr/share/neutron-common/api-paste.ini',
        'auth_strategy': 'keystone',
        'notify_nova_on_port_status_changes': 'true',
        'notify_nova_on_port_data_changes': 'true',
        'agent_down_time': '75',
        'max_allowed_address_pair': '20',
        'global_physnet_mtu': '1500',
    })
    conf = {
        'DEFAULT': c,
        'database': dict(DBOPTS, connection=pod.db('neutron')),
        'keystone_authtoken': authtoken('neutron'),
        'nova': client('nova', pod),
        'placement': client('placement', pod),
        'oslo_concurrency': {'lock_path': state(pod.name, 'lock')},
        'ml2': {'type_drivers': 'local,flat,vlan,vxlan',
                'tenant_network_types': 'vxlan,vlan',
                'mechanism_drivers': 'openvswitch,l2population',
                'extension_drivers': 'port_security,qos',
                'path_mtu': '1500'},
        'ml2_type_flat': {'flat_networks': ','.join(x[0] for x in PHYSNETS)},
        'ml2_type_vlan': {'network_vlan_ranges': ','.join(
            '%s:%s' % (x[0], x[3]) for x in PHYSNETS)},
        'ml2_type_vxlan': {'vni_ranges': '1001:2000'},
        'securitygroup': {'enable_security_group': 'true',
                          'enable_ipset': 'true',
                          'firewall_driver': 'openvswitch'},
        'quotas': {'quota_network': '-1', 'quota_subnet': '-1',
                   'quota_port': '-1', 'quota_router': '-1',
                   'quota_floatingip': '-1', 'quota_security_group': '-1',
                   'quota_security_group_rule': '-1'},
    }
    conf.update(MESSAGING)
    write(state(pod.name, 'neutron.conf'), ini(conf))

    for k, n in enumerate(pod.nodes):
        neutron_agents(pod, k, n)


def neutron_agents(pod, k, n):
    a = common(pod, 'neutron')
    a.update({'host': n, 'state_path': state(pod.name, n, 'neutron'),
              'interface_driver': 'openvswitch'})
    # a unix socket path must stay under 108 bytes; the L3 and DHCP
    # agents put theirs under state_path
    agent = {
        'DEFAULT': a,
        'agent': {'root_helper': 'env', 'root_helper_daemon': '',
                  'report_interval': '20',
                  'tunnel_types': 'vxlan', 'l2_population': 'true',
                  'arp_responder': 'true',
                  'availability_zone': 'nova',
                  'extensions': 'qos',
                  'polling_interval': '2'},
        'ovs': {'datapath_type': 'netdev',
                'integration_bridge': 'br-int',
                'tunnel_bridge': 'br-tun',
                'local_ip': und_ip(pod, k),
                'bridge_mappings': ','.join(
                    '%s:%s' % (x[0], x[1]) for x in PHYSNETS),
                'ovsdb_connection': 'tcp:127.0.0.1:6640'},
        'securitygroup': {'enable_security_group': 'true',
                          'firewall_driver': 'openvswitch'},
        'oslo_concurrency': {'lock_path': state(pod.name, n, 'lock')},
    }
    # With more than one thread, a privileged helper of Debian's sometimes ends
    # with "cannot switch to a different thread" on its log's lock, and its agent
    # hangs for good: no router is made any more.
    for section in ('', '_namespace', '_conntrack', '_link', '_dhcp_release',
                    '_ovs_vsctl'):
        agent['privsep' + section] = {'thread_pool_size': '1'}
    agent.update(MESSAGING)
    write(state(pod.name, n, 'agent.conf'), ini(agent))
    write(state(pod.name, n, 'dhcp.conf'), ini({'DEFAULT': {
        'dhcp_driver': 'neutron.agent.linux.dhcp.Dnsmasq',
        'enable_isolated_metadata': 'false',
        'num_sync_threads': '2',
        'resync_interval': '10',
    }}))
    write(state(pod.name, n, 'l3.conf'), ini({'DEFAULT': {
        'agent_mode': 'legacy',
        'enable_metadata_proxy': 'false',
        # a server that missed an advertisement waits for the next: the stock
        # 30 to 100 s would be most of the tests' time
        'min_rtr_adv_interval': '3',
        'max_rtr_adv_interval': '10',
    },
        # fip_qos and gateway_ip_qos need the kernel's act_police, which the
        # machines that this was written for lack: the agents would fail
        # on each floating IP with a policy
        'agent': {'extensions': 'port_forwarding'}}))
    for d in ('neutron', 'lock', 'ovs'):
        os.makedirs(state(pod.name, n, d), exist_ok=True)


def cinder(pod):
    c = common(pod, 'cinder')
    c.update({
        'my_ip': pod.ip, 'osapi_volume_listen': pod.ip,
        'osapi_volume_workers': '1', 'host': pod.name,
        'auth_strategy': 'keystone',
        'api_paste_config': '/usr/share/cinder-common/api-paste.ini',
        'resource_query_filters_file': '/etc/cinder/resource_filters.json',
        'rootwrap_config': '/etc/cinder/rootwrap.conf',
        'enabled_backends': 'fake,files', 'default_volume_type': 'fake',
        'glance_api_servers': 'http://%s:9292' % pod.ip,
        'storage_availability_zone': 'nova',
        'quota_volumes': '1000', 'quota_snapshots': '1000',
        'quota_gigabytes': '100000', 'quota_backups': '1000',
        'quota_backup_gigabytes': '100000',
    })
    conf = {
        'DEFAULT': c,
        'database': dict(DBOPTS, connection=pod.db('cinder')),
        'keystone_authtoken': authtoken('cinder'),
        'service_user': client('cinder', pod, send_service_user_token='true'),
        'nova': client('nova', pod),
        'oslo_concurrency': {'lock_path': state(pod.name, 'lock')},
        'coordination': {'backend_url': 'file://' + state(pod.name, 'coord')},
        'key_manager': {'backend': 'cinder.keymgr.conf_key_mgr.ConfKeyManager'},
        'fake': {'volume_driver':
                 'cinder.tests.fake_driver.FakeLoggingVolumeDriver',
                 'volume_backend_name': 'fake'},
        'files': files.backend(pod),
    }
    c.update(files.backup())
    conf.update(MESSAGING)
    write(state(pod.name, 'cinder.conf'), ini(conf))
    # The fake driver names device files that nobody makes; with the folder, qemu-img
    # writes a plain file there when a volume is made from an image.
    os.makedirs('/dev/mapper', exist_ok=True)
    for d in ('coord', 'lock', 'data/cinder'):
        os.makedirs(state(pod.name, d), exist_ok=True)


def glance(pod, pods):
    c = common(pod, 'glance')
    c.update({'bind_host': pod.ip, 'bind_port': '9292', 'workers': '0',
              'enabled_import_methods': 
              '[glance-direct,web-download,glance-download,copy-image]',
              'show_multiple_locations': 'true',
              'node_staging_uri': 'file://' + state(pod.name, 'data', 'staging'),
              'scrubber_datadir': state(pod.name, 'data', 'scrubber')})
    conf = {
        'DEFAULT': c,
        'database': dict(DBOPTS, connection=pod.db('glance')),
        'keystone_authtoken': authtoken('glance'),
        'paste_deploy': {'flavor': 'keystone', 'config_file':
                         '/usr/share/glance-common/glance-api-paste.ini'},
        # Glance keeps off loopback addresses but for those named
        'import_filtering_opts': {
            'allowed_hosts': '[%s]' % ','.join(
                ['127.0.0.1'] + [x.ip for x in pods]),
            'allowed_ports': '[]'},       # any
        'glance_store': {'stores': 'file,http', 'default_store': 'file',
                         'filesystem_store_datadir':
                             state(pod.name, 'data', 'images')},
        'oslo_concurrency': {'lock_path': state(pod.name, 'lock')},
    }
    conf.update(MESSAGING)
    write(state(pod.name, 'glance.conf'), ini(conf))
    for d in ('images', 'staging', 'scrubber', 'glance'):
        os.makedirs(state(pod.name, 'data', d), exist_ok=True)

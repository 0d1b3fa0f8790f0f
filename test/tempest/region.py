"""The region under test: what Tempest needs there, made by public APIs."""
import configparser
import json
import os
import urllib.error
import urllib.request

AUTH = os.environ.get('TEMPEST_AUTH_URL', 'http://127.0.0.10:5000/v3')
PASSWORD = os.environ.get('TEMPEST_PASSWORD', 'secret')


class Failed(Exception):
    pass


class Region(object):
    """A session of user and project admin in one region of the catalog."""

    def __init__(self, name):
        self.name, self.token, self.made = name, None, []
        admin = {'name': 'admin', 'domain': {'id': 'default'}}
        headers, body = self.send('POST', AUTH + '/auth/tokens', {'auth': {
            'identity': {'methods': ['password'], 'password': {'user': dict(admin, password=PASSWORD)}},
            'scope': {'project': admin}}})
        self.token = headers['X-Subject-Token']
        self.urls = {s['type']: e['url'].rstrip('/')
                     for s in body['token']['catalog'] for e in s['endpoints']
                     if e['region_id'] == name and e['interface'] == 'public'}
        missing = {'compute', 'network', 'image', 'volumev3'} - set(self.urls)
        if missing:
            raise Failed('region %s has no endpoint for %s' % (name, ', '.join(sorted(missing))))

    def send(self, method, url, body=None, raw=None):
        headers = {'Accept': 'application/json', 'Content-Type': 'application/json'}
        if raw is not None:
            headers['Content-Type'] = 'application/octet-stream'
        if self.token:
            headers['X-Auth-Token'] = self.token
        data = raw if raw is not None else json.dumps(body).encode() if body else None
        request = urllib.request.Request(url, data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as reply:
                text = reply.read()
                return reply.headers, json.loads(text) if text else None
        except urllib.error.HTTPError as ex:
            raise Failed('%s %s: %s %s' % (method, url, ex.code, ex.read()[:500]))

    def get(self, service, path):
        return self.send('GET', self.urls[service] + path)[1]

    def make(self, service, path, body):
        """POST; remembered, so that clean() takes it away."""
        made = self.send('POST', self.urls[service] + path, body)[1]
        made = made if 'id' in made else next(iter(made.values()))
        self.made.append('%s%s/%s' % (self.urls[service], path, made['id']))
        return made

    def clean(self):
        while self.made:
            url = self.made.pop()
            try:
                self.send('DELETE', url)
            except Failed as ex:
                print(ex)

    def prepare(self, servers):
        """External network, and for servers images and flavors: found by name, else
        made.  What Tempest must know of the region's network comes along."""
        got = {'image': ['', ''], 'flavor': ['', ''], 'public': self.public()}
        if servers:
            got['image'] = [self.image(name) for name in ('tempest-1', 'tempest-2')]
            got['flavor'] = [self.flavor('tempest-1', 64, 1), self.flavor('tempest-2', 128, 2)]
        got['extensions'] = sorted(x['alias'] for x in self.get('network', '/v2.0/extensions')['extensions'])
        zones = {z['name'] for z in self.get('network', '/v2.0/availability_zones')['availability_zones']}
        # Tests of the agents' zone believe in one; with several they are to be skipped.
        got['zone'] = zones.pop() if len(zones) == 1 else ''
        return got

    def image(self, name):
        for image in self.get('image', '/v2/images?limit=1000')['images']:
            if image['name'] == name and image['status'] == 'active':
                return image['id']
        image = self.make('image', '/v2/images', {
            'name': name, 'disk_format': 'raw', 'container_format': 'bare', 'visibility': 'public'})
        self.send('PUT', self.urls['image'] + '/v2/images/%s/file' % image['id'], raw=b'\0' * 65536)
        return image['id']

    def flavor(self, name, ram, disk):
        for flavor in self.get('compute', '/flavors')['flavors']:
            if flavor['name'] == name:
                return flavor['id']
        return self.make('compute', '/flavors', {'flavor': {
            'name': name, 'ram': ram, 'disk': disk, 'vcpus': 1}})['id']

    def public(self):
        """The external network; default, because "get me a network" asks for one."""
        found = self.get('network', '/v2.0/networks?router:external=true&name=public')['networks']
        if found:
            return found[0]['id']
        network = self.make('network', '/v2.0/networks', {'network': {
            'name': 'public', 'router:external': True, 'is_default': True,
            'provider:network_type': 'vlan', 'provider:physical_network': 'extern'}})
        self.make('network', '/v2.0/subnets', {'subnet': {
            'name': 'public', 'network_id': network['id'], 'ip_version': 4,
            'cidr': '198.51.100.0/24', 'enable_dhcp': False}})
        return network['id']


def configure(path, region, got):
    """Writes tempest.conf: what the testbed can do, whose Nova and Cinder have fake
    drivers and no guest ever runs.  True means that the API answers as a real one
    does."""
    log = os.path.join(os.path.dirname(path), '..', 'tempest.log')
    c = {
        'DEFAULT': {'log_file': os.path.abspath(log), 'debug': 'false', 'use_stderr': 'false'},
        'oslo_concurrency': {'lock_path': os.path.join(os.path.dirname(path), 'lock')},
        'auth': {
            'use_dynamic_credentials': 'true', 'create_isolated_networks': 'true',
            'admin_username': 'admin', 'admin_project_name': 'admin',
            'admin_password': PASSWORD, 'admin_domain_name': 'Default'},
        'identity': {'uri_v3': AUTH, 'auth_version': 'v3', 'region': region, 'v3_endpoint_type': 'publicURL'},
        'identity-feature-enabled': {'api_v2': 'false', 'api_v3': 'true', 'access_rules': 'true'},
        'service_available': {'nova': 'true', 'neutron': 'true', 'cinder': 'true',
                              'glance': 'true', 'swift': 'false', 'horizon': 'false'},
        'compute': {
            'region': region, 'endpoint_type': 'publicURL',
            'image_ref': got['image'][0], 'image_ref_alt': got['image'][1],
            'flavor_ref': got['flavor'][0], 'flavor_ref_alt': got['flavor'][1],
            'max_microversion': 'latest', 'min_compute_nodes': '1',
            'hypervisor_type': 'fake', 'build_timeout': '90'},
        'compute-feature-enabled': {
            'resize': 'true', 'pause': 'true', 'suspend': 'true', 'rescue': 'true',
            'shelve': 'true', 'interface_attach': 'true', 'change_password': 'true',
            'personality': 'true', 'config_drive': 'true', 'swap_volume': 'true',
            'console_output': 'true',      # the driver returns three fixed lines
            'volume_multiattach': 'false',  # Cinder's fake driver does not report it
            'snapshot': 'false',           # the image stays queued
            'cold_migration': 'false', 'live_migration': 'false',   # one host in a pod
            'vnc_console': 'false', 'metadata_service': 'false',
            'stable_rescue': 'false', 'attach_encrypted_volume': 'false', 'ide_bus': 'false'},
        'placement': {'region': region, 'endpoint_type': 'public', 'max_microversion': 'latest'},
        'network': {
            'region': region, 'endpoint_type': 'publicURL',
            'public_network_id': got['public'], 'floating_network_name': 'public', 'build_timeout': '90'},
        'network-feature-enabled': {
            'api_extensions': ','.join(got['extensions']), 'ipv6': 'true',
            'ipv6_subnet_attributes': 'true', 'port_security': 'true', 'floating_ips': 'true'},
        'neutron_plugin_options': {
            'available_type_drivers': 'local,flat,vlan,vxlan', 'provider_vlans': 'bridge',
            'agent_availability_zone': got['zone'], 'l3_agent_mode': 'legacy',
            'firewall_driver': 'openvswitch', 'create_shared_resources': 'true'},
        'volume': {
            'region': region, 'endpoint_type': 'publicURL', 'volume_type': 'fake',
            'max_microversion': 'latest', 'storage_protocol': 'fake',
            'vendor_name': 'Open Source', 'build_timeout': '90'},
        'volume-feature-enabled': {
            'snapshot': 'true', 'clone': 'true', 'extend_attached_volume': 'true', 'backup': 'false',
            'multi_backend': 'false', 'manage_volume': 'false', 'manage_snapshot': 'false',
            'consistency_group': 'false', 'volume_revert': 'false'},
        'image': {'region': region, 'endpoint_type': 'publicURL', 'build_timeout': '90'},
        'image-feature-enabled': {
            'import_image': 'true', 'os_glance_reserved': 'true',
            'manage_locations': 'false'},  # Debian's Glance refuses locations on loopback
        'validation': {'run_validation': 'false'},
    }
    ini = configparser.RawConfigParser(default_section='none')
    ini.read_dict(c)
    with open(path, 'w') as f:
        ini.write(f)

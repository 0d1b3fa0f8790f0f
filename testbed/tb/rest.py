"""A tiny client of the OpenStack APIs that knows Keystone."""
import json
import socket
import urllib.error
import urllib.request

from tb.layout import KEYSTONE, PW


def port_open(host, port):
    s = socket.socket()
    s.settimeout(1)
    try:
        s.connect((host, port))
        return True
    except OSError:
        return False
    finally:
        s.close()


class Http:
    """A tiny Keystone-aware client."""

    def __init__(self, user=None, project=None, password=PW):
        self.tok = None
        self.catalog = {}
        if user:
            self.login(user, project or user, password)

    def login(self, user, project, password):
        body = {'auth': {
            'identity': {'methods': ['password'], 'password': {'user': {
                'name': user, 'password': password,
                'domain': {'id': 'default'}}}},
            'scope': {'project': {'name': project,
                                  'domain': {'id': 'default'}}}}}
        st, h, b = self.req('POST', KEYSTONE + '/v3/auth/tokens', body)
        if st != 201:
            raise RuntimeError('login %s: %s %s' % (user, st, b))
        self.tok = h['X-Subject-Token']
        self.project_id = b['token']['project']['id']
        for s in b['token'].get('catalog', []):
            for e in s['endpoints']:
                if e['interface'] == 'public':
                    self.catalog[(e['region_id'], s['type'])] = e['url']

    def url(self, region, typ, path=''):
        return self.catalog[(region, typ)] + path

    def req(self, method, url, body=None, headers=None, raw=None, timeout=120):
        h = {'Accept': 'application/json'}
        if self.tok:
            h['X-Auth-Token'] = self.tok
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            h['Content-Type'] = 'application/json'
        if raw is not None:
            data = raw
        h.update(headers or {})
        r = urllib.request.Request(url, data=data, headers=h, method=method)
        try:
            with urllib.request.urlopen(r, timeout=timeout) as f:
                st, hd, b = f.status, f.headers, f.read()
        except urllib.error.HTTPError as ex:
            st, hd, b = ex.code, ex.headers, ex.read()
        try:
            b = json.loads(b) if b else None
        except ValueError:
            pass
        return st, hd, b

    def must(self, method, url, body=None, ok=None, **kw):
        """The decoded body; raises unless the status is one of ok (< 300)."""
        st, h, b = self.req(method, url, body, **kw)
        if (ok and st not in ok) or (not ok and st >= 300):
            raise RuntimeError('%s %s -> %s %s' % (method, url, st, b))
        return b


def http_ok(url):
    st, _, _ = Http().req('GET', url, timeout=5)
    return st < 500

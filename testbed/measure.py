#!/usr/bin/python3
"""Latency of some API calls, versions, extensions, steady CPU (bounded)."""
import http.client
import os
import statistics
import subprocess
import sys
import time
import urllib.parse

from tb.layout import KEYSTONE, topology
from tb.machine import ENV, state
from tb.process import alive, names
from tb.rest import Http


def lat(url, headers, n=60):
    u = urllib.parse.urlsplit(url)
    out = []
    for _ in range(n):
        t = time.perf_counter()
        c = http.client.HTTPConnection(u.hostname, u.port, timeout=30)
        c.request('GET', u.path + ('?' + u.query if u.query else ''),
                  headers=headers)
        r = c.getresponse()
        r.read()
        c.close()
        out.append((time.perf_counter() - t) * 1000)
        st = r.status
    out.sort()
    return 'status %d  median %.1f ms  p95 %.1f ms  min %.1f ms' % (
        st, statistics.median(out), out[int(n * .95)], out[0])


def main():
    pods, _ = topology()
    a, d = Http('admin'), Http('demo')
    H = {'X-Auth-Token': d.tok}
    pod = pods[0]
    print('GET nova /servers            ', lat(d.url(pod.region, 'compute', '/servers'), H))
    print('GET nova /servers/detail     ', lat(d.url(pod.region, 'compute', '/servers/detail'), H))
    print('GET nova / (versions)        ', lat('http://%s:8774/' % pod.ip, {}))
    print('GET neutron /v2.0/networks   ', lat(d.url(pod.region, 'network', '/v2.0/networks'), H))
    print('GET neutron /v2.0/ports      ', lat(d.url(pod.region, 'network', '/v2.0/ports'), H))
    print('GET cinder /volumes          ', lat(d.url(pod.region, 'volumev3', '/volumes'), H))
    print('GET glance /v2/images        ', lat(d.url(pod.region, 'image', '/v2/images'), H))
    print('GET keystone validate        ', lat(KEYSTONE + '/v3/auth/tokens', {
        'X-Auth-Token': a.tok, 'X-Subject-Token': d.tok}))
    t = []
    for _ in range(20):
        s = time.perf_counter()
        Http('demo')
        t.append((time.perf_counter() - s) * 1000)
    print('POST keystone password login   median %.1f ms' % statistics.median(t))
    t = []
    for i in range(10):
        s = time.perf_counter()
        n = d.must('POST', d.url(pod.region, 'network', '/v2.0/networks'), {'network': {'name': 'm%d' % i}})['network']['id']
        t.append((time.perf_counter() - s) * 1000)
        d.must('DELETE', d.url(pod.region, 'network', '/v2.0/networks/' + n))
    print('POST neutron network           median %.1f ms' % statistics.median(t))
    env = dict(ENV, OS_CLIENT_CONFIG_FILE=state('clouds.yaml'), OS_CLOUD='demo-' + pod.name)
    for cmd in (['openstack', 'server', 'list'], ['openstack', 'network', 'list'], ['openstack', 'token', 'issue']):
        s = time.perf_counter()
        subprocess.run(cmd, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT, check=True)
        print('%-30s %.2f s' % (' '.join(cmd), time.perf_counter() - s))
    s = time.perf_counter()
    subprocess.run(['curl', '-s', '-o', '/dev/null', '-H', 'X-Auth-Token: ' + d.tok, d.url(pod.region, 'compute', '/servers')], check=True)
    print('%-30s %.3f s' % ('curl nova /servers', time.perf_counter() - s))
    v = a.must('GET', 'http://%s:8774/' % pod.ip, ok=(200,))['versions']
    print('nova', [(x['id'], x['min_version'], x['version']) for x in v])
    st, _, v = a.req('GET', 'http://%s:8776/' % pod.ip)
    print('cinder', [(x['id'], x['min_version'], x['version']) for x in v['versions']])
    st, _, v = a.req('GET', 'http://%s:9292/' % pod.ip)
    print('glance', [(x['id'], x['status']) for x in v['versions']])
    st, _, v = a.req('GET', 'http://%s:8778/' % pod.ip)
    print('placement', [(x['id'], x['min_version'], x['max_version']) for x in v['versions']])
    st, _, v = a.req('GET', KEYSTONE + '/')
    print('keystone', [(x['id'], x['status']) for x in v['versions']['values']])
    v = a.must('GET', a.url(pod.region, 'network', '/v2.0/extensions'))['extensions']
    print('neutron', len(v), 'extensions:', ' '.join(sorted(x['alias'] for x in v)))

    # the testbed's own processes only: other work may share this machine
    hz = os.sysconf('SC_CLK_TCK')

    def cpu():
        mine, kids, tot = set(), {}, 0
        for x in os.listdir('/proc'):
            if x.isdigit():
                try:
                    q = open('/proc/%s/stat' % x).read()
                except OSError:
                    continue
                f = q[q.rindex(')') + 2:].split()
                kids.setdefault(int(f[1]), []).append(
                    (int(x), int(f[11]) + int(f[12])))
                mine.add((int(x), int(f[11]) + int(f[12])))
        own = {alive(n) for n in names()}
        todo = [(pid, t) for pid, t in mine if pid in own]
        while todo:
            pid, t = todo.pop()
            tot += t
            todo += kids.get(pid, [])
        return tot
    c0, t0 = cpu(), time.time()
    time.sleep(60)
    print('idle testbed over 60 s: %.1f%% of one core' % (
        (cpu() - c0) / hz / (time.time() - t0) * 100))


if __name__ == '__main__':
    sys.exit(main())

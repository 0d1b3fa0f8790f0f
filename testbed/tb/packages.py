"""The Debian packages that hold OpenStack and what it needs."""
import os

from tb.machine import log, run, write

PACKAGES = """
python3-keystone nova-common python3-nova placement-common python3-placement
neutron-common python3-neutron cinder-common python3-cinder glance-common
python3-glance python3-openstackclient openvswitch-switch mariadb-server
rabbitmq-server memcached uwsgi-core uwsgi-plugin-python3 dnsmasq-base
dnsmasq-utils keepalived haproxy conntrack ipset iptables iputils-arping
iputils-ping qemu-utils nfs-common dmidecode python3-memcache ethtool iproute2 procps busybox curl
radvd
""".split()


def install():
    out = run(['dpkg-query', '-W', '-f', '${Package} ${db:Status-Abbrev}\n'] +
              PACKAGES, check=False)
    have = {l.split()[0] for l in out.splitlines()
            if len(l.split()) > 1 and l.split()[1] == 'ii'}
    need = [x for x in PACKAGES if x not in have]
    if not need:
        return
    log('installing %d packages (and what they need)', len(need))
    env = {'DEBIAN_FRONTEND': 'noninteractive'}
    policy = '/usr/sbin/policy-rc.d'
    mine = not os.path.exists(policy)
    if mine:          # "do not start any service": there is no init here
        write(policy, '#!/bin/sh\nexit 101\n', 0o755)
    try:
        run(['apt-get', 'update'], check=False, env=env)
        run(['apt-get', 'install', '-y', '--no-install-recommends',
             '-o', 'Dpkg::Options::=--force-confold',
             '-o', 'Dpkg::Options::=--force-unsafe-io'] + need,
            env=env, timeout=1800)
    finally:
        if mine:
            os.unlink(policy)
    log('packages installed')

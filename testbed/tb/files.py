"""Volumes with bytes in them, and a store of backups that all pods share.

The second back end of a pod's Cinder is the stock NFS driver. No NFS server runs,
and the kernel needs no NFS: the driver takes a share as mounted when something is
mounted at the place where it would mount it, so a folder is bound there.
"""
import hashlib
import os

from tb.machine import run, state

SHARE = '/files'
# The driver keeps the whole of a chunk in memory: stock Cinder takes 2 GB.
CHUNK = 1024 * 32768


def backend(pod):
    """The back end "files" in cinder.conf. Files are handled as root, as
    snapshots of this driver want it."""
    return {'volume_driver': 'cinder.volume.drivers.nfs.NfsDriver',
            'volume_backend_name': 'files',
            'nas_host': pod.ip, 'nas_share_path': SHARE,
            'nfs_mount_point_base': base(pod.name),
            'nfs_snapshot_support': 'true',
            'nas_secure_file_operations': 'false',
            'nas_secure_file_permissions': 'false'}


def backup():
    """The backup service's part of cinder.conf, the same in every pod: one
    store for all of them."""
    store = state('backups')
    os.makedirs(store, exist_ok=True)
    return {'backup_driver': 'cinder.backup.drivers.posix.PosixBackupDriver',
            'backup_posix_path': store, 'backup_file_size': str(CHUNK)}


def base(pod):
    return state(pod, 'mnt')


def mount(pod):
    share = '%s:%s' % (pod.ip, SHARE)
    at = os.path.join(base(pod.name),
                      hashlib.md5(share.encode()).hexdigest())
    if at in mounted():
        return
    data = state(pod.name, 'data', 'files')
    for d in (data, at):
        os.makedirs(d, exist_ok=True)
    run(['mount', '--bind', data, at])


def unmount():
    """Before the state folder can go."""
    for at in mounted():
        if os.path.basename(os.path.dirname(at)) == 'mnt':
            run(['umount', at])


def mounted():
    """What is mounted beneath the state folder."""
    with open('/proc/mounts') as f:
        places = [line.split()[1] for line in f]
    return [x for x in places if x.startswith(state('pod'))]

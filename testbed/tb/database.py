"""MariaDB, and the services' schemas out of a cache."""
import os
import re
import time
import uuid

from tb.layout import PW, SHARED
from tb.machine import CACHE, ini, log, run, state, wait, write
from tb.process import spawn


SQLSOCK = state('run', 'mysql.sock')


def sql(text, db=None, check=True):
    return run(['mariadb', '--no-defaults', '-S', SQLSOCK, '-uroot', '-N',
                '-B'] + ([db] if db else []), stdin=text, check=check)


def start_mariadb():
    data = state('mysql')
    if not os.path.isdir(os.path.join(data, 'mysql')):
        run(['mariadb-install-db', '--no-defaults', '--user=root',
             '--datadir=' + data, '--auth-root-authentication-method=normal',
             '--skip-test-db', '--skip-name-resolve',
             '--innodb-log-file-size=48M'])
    spawn('mariadb', [
        'mariadbd', '--no-defaults', '--user=root', '--datadir=' + data,
        '--socket=' + SQLSOCK, '--pid-file=' + state('run', 'mariadbd.own.pid'),
        '--bind-address=' + SHARED, '--port=3306', '--skip-name-resolve',
        '--max-connections=1500', '--character-set-server=utf8mb3',
        '--collation-server=utf8mb3_general_ci',
        # a throw-away database: never wait for the disk
        '--innodb-flush-log-at-trx-commit=0', '--innodb-doublewrite=0',
        '--innodb-flush-method=nosync', '--sync-frm=0', '--skip-log-bin',
        '--innodb-buffer-pool-size=192M', '--innodb-log-file-size=48M',
        '--performance-schema=OFF', '--table-open-cache=1500',
        '--thread-cache-size=32', '--tmpdir=' + state('tmp')])
    wait('mariadb', lambda: sql('select 1').strip() == '1', 60)
    sql("create user if not exists 'tb'@'%%' identified by '%s';"
        "grant all on *.* to 'tb'@'%%';" % PW)


SCHEMAS = {
    # schema -> (package that fixes its version, sections, command)
    'keystone': ('python3-keystone', ['database'],
                 ['/usr/bin/keystone-manage', '--config-file', '@', 'db_sync']),
    'nova_api': ('python3-nova', ['api_database', 'database'],
                 ['/usr/bin/nova-manage', '--config-file', '@',
                  'api_db', 'sync']),
    'nova': ('python3-nova', ['database', 'api_database'],
             ['/usr/bin/nova-manage', '--config-file', '@', 'db', 'sync',
              '--local_cell']),
    'placement': ('python3-placement', ['placement_database'],
                  ['/usr/bin/placement-manage', '--config-file', '@',
                   'db', 'sync']),
    'neutron': ('python3-neutron', ['database'],
                ['/usr/bin/neutron-db-manage', '--config-file', '@',
                 'upgrade', 'heads']),
    'cinder': ('python3-cinder', ['database'],
               ['/usr/bin/cinder-manage', '--config-file', '@', 'db', 'sync']),
    'glance': ('python3-glance', ['database'],
               ['/usr/bin/glance-manage', '--config-file', '@', 'db_sync']),
}
# goes into the cached dump, too: the stock metadata definitions
METADEFS = ['/usr/bin/glance-manage', '--config-file', '@', 'db_load_metadefs',
            '/usr/share/glance-common/metadefs']


def schema_dump(name):
    """The empty schema, from the cache or by running the service's own
    migration once against a scratch database."""
    pkg, sections, cmd = SCHEMAS[name]
    ver = run(['dpkg-query', '-W', '-f', '${Version}', pkg])
    f = os.path.join(CACHE, '%s-%s.sql' % (
        'glance-metadefs' if name == 'glance' else name,
        re.sub(r'[^\w.+~-]', '_', ver)))
    if os.path.exists(f):
        return f
    t = time.time()
    scratch = 'tpl_' + name
    sql('drop database if exists %s; create database %s character set '
        'utf8mb3;' % (scratch, scratch))
    url = 'mysql+pymysql://tb:%s@%s:3306/%s?charset=utf8' % (PW, SHARED,
                                                            scratch)
    conf = {s: {'connection': url} for s in sections}
    conf['DEFAULT'] = {'use_journal': 'false'}
    if name == 'neutron':
        conf['DEFAULT']['core_plugin'] = 'ml2'
    cf = write(state('etc', 'schema-%s.conf' % name), ini(conf))
    out = run([cf if a == '@' else a for a in cmd])
    if name == 'glance':
        out += run([cf if a == '@' else a for a in METADEFS])
    write(state('logs', 'schema-%s.out' % name), out)
    dump = run(['mariadb-dump', '--no-defaults', '-S', SQLSOCK, '-uroot',
                '--skip-comments', '--single-transaction', scratch])
    write(f + '.tmp', dump)
    os.rename(f + '.tmp', f)
    sql('drop database %s' % scratch)
    log('schema %s migrated in %.1fs', name, time.time() - t)
    return f


def load_schema(db, name):
    if sql("select count(*) from information_schema.tables where "
           "table_schema='%s'" % db).strip() != '0':
        return False
    f = schema_dump(name)
    sql('create database if not exists %s character set utf8mb3' % db)
    with open(f) as fh:
        sql('set foreign_key_checks=0; set unique_checks=0;\n' + fh.read(), db)
    return True


def load_pod_schemas(pod):
    for db in ('nova_api', 'nova', 'placement', 'neutron', 'cinder', 'glance'):
        load_schema('%s_%s' % (pod.name, db), db)
    load_schema('%s_nova_cell0' % pod.name, 'nova')
    # what "nova-manage cell_v2 map_cell0" and "create_cell" insert
    if sql('select count(*) from %s_nova_api.cell_mappings'
           % pod.name).strip() == '0':
        sql("insert into %s_nova_api.cell_mappings (created_at, uuid, name, "
            "transport_url, database_connection, disabled) values "
            "(now(), '00000000-0000-0000-0000-000000000000', 'cell0', "
            "'none:///', '%s', 0), (now(), '%s', 'cell1', '%s', '%s', 0)"
            % (pod.name, pod.db('nova_cell0'), uuid.uuid4(), pod.rabbit,
               pod.db('nova')))

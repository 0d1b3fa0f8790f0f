"""What came out of a run, held against what was expected."""
import io
import os
import re


def short(test):
    """The id without its [id-...,tags]: what survives a change of tags.  What
    follows them stays: it tells the variants of one test apart."""
    return re.sub(r'\[[^]]*\]', '', test, count=1)


SUITES = (
    ('compute', 'tempest.api.compute.', "Compute: Tempest"),
    ('network', 'tempest.api.network.', "Network: Tempest"),
    ('neutron', 'neutron_tempest_plugin.api.', "Network: Neutron's plugin for Tempest"),
    ('volume', 'tempest.api.volume.', "Block Storage: Tempest"),
    ('cinder', 'cinder_tempest_plugin.api.', "Block Storage: Cinder's plugin for Tempest"),
    ('image', 'tempest.api.image.', "Image: Tempest"),
)


def suite(test):
    """Which list the test is in, and the rest of its name."""
    for name, prefix, _ in SUITES:
        if test.startswith(prefix):
            return name, test[len(prefix):]
    return 'other', test


def area(test):
    """The module below the suite's: servers, admin, ports, ..., with its negative
    tests."""
    return re.sub(r'^test_|_negative$', '', suite(test)[1].split('.')[0])


def read_list(path):
    with open(path) as f:
        return [short(x.strip()) for x in f if x.strip() and not x.startswith('#')]


def read_known(path):
    """{test: reason}.  Lines that begin with # are the reason of the tests below."""
    known, reason, above = {}, '', False
    with open(path) as f:
        for line in f:
            line = line.strip()
            if line.startswith('#'):
                reason = (reason + ' ' if above else '') + line[1:].strip()
            elif line:
                known[short(line)] = reason
            above = line.startswith('#')
    return known


def read_subunit(raw):
    """[(id, status, seconds, details)]"""
    import subunit
    import testtools
    seen = []

    def one(t):
        began, ended = t['timestamps']
        text = {n: d.as_text() for n, d in t['details'].items() if d.content_type.type == 'text'}
        why = text.get('reason') or ''.join(v for n, v in sorted(text.items()) if n.startswith('traceback'))
        seen.append((t['id'], t['status'], (ended - began).total_seconds() if began and ended else 0, why))
    result = testtools.StreamToDict(one)
    result.startTestRun()
    subunit.ByteStreamToStreamResult(io.BytesIO(raw), non_subunit_name='stdout').run(result)
    result.stopTestRun()
    return seen


def attribute(ids, seen):
    """{test: (passed|failed|skipped, seconds, why)}.  Tempest reports a class that
    skips or breaks in setUpClass as one 'setUpClass (module.Class)': that is the
    outcome of every test of the class."""
    outcome, classes, asked = {}, {}, set(ids)
    for test, status, seconds, why in seen:
        status = {'success': 'passed', 'skip': 'skipped'}.get(status, 'failed')
        fixture = re.match(r'(setUpClass|tearDownClass) \((.*)\)', test)
        if fixture and fixture.group(1) == 'setUpClass':
            classes[fixture.group(2)] = (status, 0, why)
        elif fixture:
            if status == 'failed':
                outcome[test] = (status, seconds, why)
        elif test in asked and status != 'exists':
            outcome[short(test)] = (status, seconds, why)
    for test in ids:
        cls = test.split('[')[0].rpartition('.')[0]
        outcome.setdefault(short(test), classes.get(cls, ('failed', 0, 'no result came')))
    return outcome


def last_line(why):
    """The exception out of a traceback, with what follows it."""
    lines = [x.strip() for x in why.strip().splitlines() if x.strip()]
    for i, x in enumerate(lines):
        if re.match(r'^[\w.]+(Exception|Error|NotFound|Conflict|BadRequest|Forbidden|Fault|Timeout\w*|Mismatch\w*|[A-Z]\w+): ?', x):
            return ' '.join(lines[i:i + 3])[:400]
    return (lines[-1] if lines else '')[:400]


class Verdict(object):
    def __init__(self, outcome, known):
        bad = {t for t in outcome if outcome[t][0] != 'passed'}
        self.outcome, self.known = outcome, known
        self.unexpected = sorted(bad - set(known))
        self.stale = sorted(t for t in known if t in outcome and t not in bad)
        self.expected = sorted(bad & set(known))
        self.passed = sorted(set(outcome) - bad)

    def good(self):
        return not self.unexpected and not self.stale

    def tests(self):
        """All but the fixtures that broke."""
        return [t for t in self.outcome if not t.startswith('tearDownClass')]

    def areas(self):
        """[(suite, area, tests, passed, known)]"""
        return self.count(lambda test: (suite(test)[0], area(test)))

    def suites(self):
        """[(suite, tests, passed, known)]"""
        return self.count(lambda test: (suite(test)[0],))

    def count(self, key):
        rows = {}
        for test in self.tests():
            status = self.outcome[test][0]
            row = rows.setdefault(key(test), [0, 0, 0])
            row[0] += 1
            row[1] += status == 'passed'
            row[2] += status != 'passed' and test in self.known
        return [(*k, *rows[k]) for k in sorted(rows)]

    def save(self, out):
        """Files for whoever looks into failures."""
        def write(name, lines):
            with open(os.path.join(out, name), 'w') as f:
                f.writelines(x + '\n' for x in lines)
        o = self.outcome
        write('passed.txt', self.passed)
        write('failed.txt', sorted(set(o) - set(self.passed)))
        write('reasons.txt', ('%s %s\n    %s' % (o[t][0], t, last_line(o[t][2])) for t in sorted(set(o) - set(self.passed))))
        write('tracebacks.txt', ('%s\n%s\n%s' % ('=' * 70, t, o[t][2]) for t in self.unexpected))
        write('timings.txt', ('%8.2f %s %s' % (o[t][1], o[t][0], t) for t in sorted(o, key=lambda t: -o[t][1])))

    def report(self):
        for t in self.unexpected:
            status, _, why = self.outcome[t]
            print('  UNEXPECTED %s %s\n      %s' % (status, t, last_line(why)[:300]))
        for t in self.stale:
            print('  passes, but is listed as known to fail: %s' % t)
        print('%d passed, %d not passed and known, %d unexpected, %d known but passed' % (
            len(self.passed), len(self.expected), len(self.unexpected), len(self.stale)))


PAGE = '''# Conformance

<!-- Made by make tempest out of its outcome; do not edit. -->

Tempest, OpenStack's own test suite, run against the region. The yardstick is a stock cloud of the testbed: the tests that
pass there are in `test/tempest/{{{lists}}}.txt`. The last run: {facts}.

**{passed} of {total} pass.**

What runs: two pods, a project and network of its own for each class of tests. A part, `test/tempest/smoke.txt`, runs in
`make e2e`. A test that fails without being listed below fails the run; so does one that is listed and passes.
{suites}
## What does not pass, and why
'''

SUITE = '''
## {title}

**{passed} of {tests}.** With negative tests in their area:

| area | tests | pass | do not |
|---|--:|--:|--:|
{rows}
'''


def page(verdict, facts):
    came = verdict.suites()
    tables = ''
    for name, tests, passed, _ in came:
        title = {s[0]: s[2] for s in SUITES}.get(name, name)
        rows = '\n'.join('| %s | %d | %d | %s |' % (a, n, ok, n - ok or '') for s, a, n, ok, _ in verdict.areas() if s == name)
        tables += SUITE.format(title=title, tests=tests, passed=passed, rows=rows)
    text = PAGE.format(lists=','.join(row[0] for row in came), facts=facts, suites=tables,
                       total=len(verdict.tests()), passed=len(verdict.passed))
    by = {}
    for t in verdict.expected:
        by.setdefault(verdict.known[t], []).append(t)
    if not by:
        text += '\nNothing.\n'
    for reason in sorted(by, key=lambda r: by[r][0]):
        text += '\n%s\n\n' % reason
        text += ''.join('- `%s`\n' % t for t in by[reason])
    return text

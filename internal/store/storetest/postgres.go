package storetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tricircle/tricircle/internal/store"
)

// server is a PostgreSQL for one test binary. A shell beside it reads a pipe
// whose other end the binary holds: however the binary ends, the pipe closes,
// and the shell stops the server and removes its files.
type server struct {
	dir   string // data and socket
	alive io.Closer
	shell *exec.Cmd
	next  int
}

// shared is the server of this test binary, started on first use.
var shared struct {
	sync.Mutex
	server *server
	err    error
}

// withPostgres is false where somebody chose to go without.
func withPostgres() bool { return os.Getenv("TRICIRCLE_TEST_POSTGRES") != "off" }

// Main is for TestMain: it runs the tests, then after, and waits until
// PostgreSQL has stopped. (Without it PostgreSQL stops too, a little later.)
func Main(m *testing.M, after ...func() error) {
	code := m.Run()
	for _, f := range after {
		if err := f(); err != nil && code == 0 {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	shared.Lock()
	if shared.server != nil {
		shared.server.stop()
	}
	os.Exit(code)
}

// PostgresURL is the URL of a database that was just made: it has the tables and
// no rows. It is dropped with the server.
func PostgresURL(t testing.TB) string {
	t.Helper()
	return newDatabase(t, "TEMPLATE migrated")
}

// EmptyPostgresURL is the URL of a database without even tables.
func EmptyPostgresURL(t testing.TB) string {
	t.Helper()
	return newDatabase(t, "")
}

func newDatabase(t testing.TB, template string) string {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil && shared.err == nil {
		shared.server, shared.err = startServer()
	}
	if shared.err != nil {
		t.Fatalf("PostgreSQL for tests: %v\n(install it: apt-get install postgresql; or set TRICIRCLE_TEST_POSTGRES=off)", shared.err)
	}
	shared.server.next++
	name := "test" + strconv.Itoa(shared.server.next)
	if err := shared.server.exec("CREATE DATABASE " + name + " " + template); err != nil {
		t.Fatalf("PostgreSQL for tests: %v", err)
	}
	return shared.server.url(name)
}

func startServer() (*server, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	template, err := templateDir(bin)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "tricircle-pg-")
	if err != nil {
		return nil, err
	}
	s := &server{dir: dir}
	if err := s.run(bin, template); err != nil {
		s.stop()
		return nil, err
	}
	if err := s.migrated(); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// run starts the server on a copy of the template, and waits until it answers.
func (s *server) run(bin, template string) error {
	data := filepath.Join(s.dir, "data")
	if out, err := exec.Command("cp", "-a", template, data).CombinedOutput(); err != nil {
		return fmt.Errorf("cannot copy %s: %s", template, out)
	}
	if err := giveTo(postgresUser(), s.dir); err != nil {
		return err
	}
	const script = `
		"$0" "$@" >"$DIR/log" 2>&1 </dev/null &
		while read -r line; do :; done
		kill -INT $!
		wait $!
		cd / && rm -rf "$DIR"`
	s.shell = exec.Command("sh", "-c", script, filepath.Join(bin, "postgres"), "-D", data, "-k", s.dir,
		"-c", "listen_addresses=", "-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off",
		"-c", "max_connections=400", "-c", "shared_buffers=64MB", "-c", "autovacuum=off", "-c", "max_wal_size=4GB")
	s.shell.Env = append(os.Environ(), "DIR="+s.dir)
	s.shell.Dir = s.dir
	s.shell.SysProcAttr = &syscall.SysProcAttr{Credential: postgresUser(), Setpgid: true}
	pipe, err := s.shell.StdinPipe()
	if err != nil {
		return err
	}
	s.alive = pipe
	if err := s.shell.Start(); err != nil {
		return err
	}
	return s.await(20 * time.Second)
}

// await asks until the server answers.
func (s *server) await(atMost time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), atMost)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := s.exec("SELECT 1")
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			return fmt.Errorf("it does not answer: %w\n%s", err, log)
		case <-tick.C:
		}
	}
}

// migrated makes the database that the others are copies of: copying is faster
// than migrating each.
func (s *server) migrated() error {
	if err := s.exec("CREATE DATABASE migrated"); err != nil {
		return err
	}
	db, err := store.Open(context.Background(), store.Options{URL: s.url("migrated")})
	if err != nil {
		return err
	}
	db.Close()
	return nil
}

func (s *server) stop() {
	if s.alive != nil {
		_ = s.alive.Close()
		_ = s.shell.Wait()
	}
	_ = os.RemoveAll(s.dir)
}

func (s *server) url(database string) string {
	q := url.Values{"host": {s.dir}, "user": {superuser}, "pool_max_conns": {"12"}}
	return "postgres:///" + database + "?" + q.Encode()
}

func (s *server) exec(query string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, "postgres:///postgres?"+url.Values{"host": {s.dir}, "user": {superuser}}.Encode())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, query)
	return err
}

// superuser is the database role; the system's user is another matter.
const superuser = "tricircle"

// binaries is the directory of PostgreSQL's programs; Debian keeps them out of
// PATH.
func binaries() (string, error) {
	if found, err := exec.LookPath("initdb"); err == nil {
		if found, err = filepath.EvalSymlinks(found); err == nil {
			return filepath.Dir(found), nil
		}
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		return "", errors.New("no initdb found")
	}
	newest := slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })
	return filepath.Dir(newest), nil
}

func version(initdb string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(initdb))))
	return n
}

// templateDir is a data directory fresh from initdb, kept between runs because
// initdb takes longer than most tests.
func templateDir(bin string) (string, error) {
	out, err := exec.Command(filepath.Join(bin, "initdb"), "--version").Output()
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	words := strings.Fields(string(out))
	dir := filepath.Join(cache, "tricircle-test", "postgresql-"+words[2])
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return "", err
	}
	return dir, initialize(bin, dir)
}

// initialize makes the template elsewhere and moves it into place whole: other
// test binaries may do the same now.
func initialize(bin, dir string) error {
	work, err := os.MkdirTemp("", "tricircle-initdb-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	if err := giveTo(postgresUser(), work); err != nil {
		return err
	}
	made := filepath.Join(work, "data")
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", made, "-U", superuser,
		"--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8")
	initdb.Dir = work
	initdb.SysProcAttr = &syscall.SysProcAttr{Credential: postgresUser()}
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	staged, err := os.MkdirTemp(filepath.Dir(dir), "new-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(staged) }()
	if out, err := exec.Command("cp", "-a", made, filepath.Join(staged, "data")).CombinedOutput(); err != nil {
		return fmt.Errorf("cannot copy %s: %s", made, out)
	}
	if err := os.Rename(filepath.Join(staged, "data"), dir); err != nil && !errors.Is(err, os.ErrExist) && !errors.Is(err, syscall.ENOTEMPTY) {
		return err
	}
	return nil
}

// postgresUser is who runs the server: PostgreSQL refuses root. Nil means the
// present user.
func postgresUser() *syscall.Credential {
	if os.Geteuid() != 0 {
		return nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, _ := strconv.ParseUint(u.Uid, 10, 32)
		gid, _ := strconv.ParseUint(u.Gid, 10, 32)
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	return nil
}

// giveTo makes the directory and what is in it the user's own.
func giveTo(u *syscall.Credential, dir string) error {
	if u == nil {
		return nil
	}
	return filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(u.Uid), int(u.Gid))
	})
}

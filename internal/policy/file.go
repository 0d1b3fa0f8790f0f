package policy

import (
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// File is rules of which an operator's file may replace some. The file is read
// again when it has changed.
type File struct {
	path string
	base *Rules
	log  *slog.Logger

	mu    sync.Mutex
	rules *Rules
	seen  stamp
}

// stamp tells one version of a file from the next.
type stamp struct {
	at   time.Time
	size int64
}

// Fixed is no file: the rules stay as they are.
func Fixed(base *Rules) *File { return &File{base: base} }

// Open reads the file. An empty path is none.
func Open(path string, base *Rules, log *slog.Logger) (*File, error) {
	if path == "" {
		return Fixed(base), nil
	}
	f := &File{path: path, base: base, log: log, rules: base}
	return f, f.read()
}

// Rules are those that hold now. A file that cannot be read, or holds a mistake,
// leaves the rules as they were: a slip of the pen must not open a cloud or
// close it.
func (f *File) Rules() *Rules {
	if f.path == "" {
		return f.base
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	before := f.seen
	if err := f.read(); err != nil && f.seen != before {
		f.log.Error("the rules stay as they were", "error", err)
	}
	return f.rules
}

// read takes the file's rules over, if it is another one than was read last.
func (f *File) read() error {
	info, err := os.Stat(f.path)
	if err != nil {
		f.seen = stamp{}
		return fmt.Errorf("cannot read the policy: %w", err)
	}
	now := stamp{info.ModTime(), info.Size()}
	if now == f.seen {
		return nil
	}
	f.seen = now
	text, err := os.ReadFile(f.path)
	if err != nil {
		return fmt.Errorf("cannot read the policy: %w", err)
	}
	rules, err := f.base.With(text)
	if err != nil {
		return fmt.Errorf("cannot read the policy %s: %w", f.path, err)
	}
	f.rules = rules
	return nil
}

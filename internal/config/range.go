package config

import (
	"fmt"
	"strconv"
	"strings"
)

// Range is a range of VLAN IDs or VNIs with both ends, written as "101:400" or "101".
type Range struct{ First, Last int }

// UnmarshalText reads a range.
func (r *Range) UnmarshalText(text []byte) error {
	first, last, ok := strings.Cut(string(text), ":")
	if !ok {
		last = first
	}
	var err1, err2 error
	r.First, err1 = strconv.Atoi(strings.TrimSpace(first))
	r.Last, err2 = strconv.Atoi(strings.TrimSpace(last))
	if err1 != nil || err2 != nil {
		return fmt.Errorf("%q is not a range such as 101:400", text)
	}
	return nil
}

// MarshalText writes it as it is read.
func (r Range) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

func (r Range) String() string {
	if r.First == r.Last {
		return strconv.Itoa(r.First)
	}
	return fmt.Sprintf("%d:%d", r.First, r.Last)
}

func (r Range) overlaps(o Range) bool { return r.First <= o.Last && o.First <= r.Last }

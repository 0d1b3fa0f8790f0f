package store

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"net/netip"
	"time"
)

// bindArgs gives the columns what they hold: bool as 0 or 1, times as
// microseconds, the zero time as 0.
func bindArgs(args []any) []any {
	bound := make([]any, len(args))
	for i, arg := range args {
		switch v := arg.(type) {
		case bool:
			bound[i] = int64(0)
			if v {
				bound[i] = int64(1)
			}
		case time.Time:
			bound[i] = micros(v)
		default:
			bound[i] = arg
		}
	}
	return bound
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// intoTime scans a time column into *t.
func intoTime(t *time.Time) timeColumn { return timeColumn{t} }

type timeColumn struct{ t *time.Time }

func (c timeColumn) Scan(src any) error {
	n, ok := src.(int64)
	if !ok {
		return fmt.Errorf("a time is stored as %T", src)
	}
	*c.t = time.Time{}
	if n != 0 {
		*c.t = time.UnixMicro(n).UTC()
	}
	return nil
}

// asJSON is v as text for a JSON column. Only for our own plain values, which
// always encode.
func asJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("store: %T does not encode: %v", v, err))
	}
	return string(text)
}

// intoJSON scans a JSON column into what v points to.
func intoJSON(v any) jsonColumn { return jsonColumn{v} }

type jsonColumn struct{ v any }

func (c jsonColumn) Scan(src any) error {
	switch text := src.(type) {
	case nil: // NULL leaves it unset
		return nil
	case string:
		return json.Unmarshal([]byte(text), c.v)
	case []byte:
		return json.Unmarshal(text, c.v)
	}
	return fmt.Errorf("JSON is stored as %T", src)
}

// intoAddr scans an address column into *a; empty is the zero address.
func intoAddr(a *netip.Addr) addrColumn { return addrColumn{a} }

type addrColumn struct{ a *netip.Addr }

func (c addrColumn) Scan(src any) error {
	var s sql.NullString
	if err := s.Scan(src); err != nil {
		return err
	}
	*c.a = netip.Addr{}
	if s.String == "" {
		return nil
	}
	var err error
	*c.a, err = netip.ParseAddr(s.String)
	return err
}

// asAddr is the address as text; the zero address is empty.
func asAddr(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

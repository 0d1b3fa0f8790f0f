package dispatch

import (
	"encoding/binary"
	"errors"
)

// Lists are megabytes, of which a merge needs an ID and a few keys per row. The
// scanner checks that a page is JSON to its last byte, for one pod's garbage must
// not spoil the list of all, and finds the members that are wanted in the same
// pass. Duplicate names and invalid UTF-8 are the pod's business.

// errJSON is all that is said about a page that is no JSON.
var errJSON = errors.New("it is not JSON")

// deepest is how far values may nest; no list comes near.
const deepest = 200

// scanner walks through JSON. Once something is wrong, at is past the end.
type scanner struct {
	b  []byte
	at int
}

func (s *scanner) fail() { s.at = len(s.b) + 1 }

func (s *scanner) failed() bool { return s.at > len(s.b) }

// next skips blanks and returns the byte there, 0 at the end.
func (s *scanner) next() byte {
	for ; s.at < len(s.b); s.at++ {
		switch c := s.b[s.at]; c {
		case ' ', '\n', '\r', '\t':
		default:
			return c
		}
	}
	return 0
}

// take skips blanks and the byte, if it comes next.
func (s *scanner) take(c byte) bool {
	if s.next() != c {
		return false
	}
	s.at++
	return true
}

// elements calls each for every element of a list, or member of an object, whose
// opening byte has been taken; each must walk past it.
func (s *scanner) elements(end byte, each func()) {
	if s.take(end) {
		return
	}
	for !s.failed() {
		each()
		if s.failed() || s.take(end) {
			return
		}
		if !s.take(',') {
			s.fail()
		}
	}
}

// name walks past a member's name and colon and returns the name as it is written.
func (s *scanner) name() []byte {
	if s.next() != '"' {
		s.fail()
		return nil
	}
	begin := s.at + 1
	s.text()
	if s.failed() {
		return nil
	}
	name := s.b[begin : s.at-1]
	if !s.take(':') {
		s.fail()
	}
	return name
}

// value walks past any value and returns its bytes.
func (s *scanner) value(depth int) []byte {
	c := s.next()
	begin := s.at
	switch {
	case depth > deepest:
		s.fail()
	case c == '"':
		s.text()
	case c == '{':
		s.at++
		s.elements('}', func() {
			s.name()
			s.value(depth + 1)
		})
	case c == '[':
		s.at++
		s.elements(']', func() { s.value(depth + 1) })
	case c == '-' || '0' <= c && c <= '9':
		s.number()
	default:
		s.word()
	}
	if s.failed() {
		return nil
	}
	return s.b[begin:s.at:s.at]
}

// members walks past an object and keeps the values of the names; nil for one
// that is not there.
func (s *scanner) members(names []string, values [][]byte) []byte {
	clear(values)
	if s.next() != '{' {
		s.fail()
		return nil
	}
	begin := s.at
	s.at++
	s.elements('}', func() {
		name := s.name()
		value := s.value(1)
		for i, want := range names {
			if values[i] == nil && string(name) == want {
				values[i] = value
			}
		}
	})
	if s.failed() {
		return nil
	}
	return s.b[begin:s.at:s.at]
}

// text walks past a string. Eight bytes at a time are looked through for what
// needs a closer look: its end, an escape, a control character.
func (s *scanner) text() {
	for s.at++; ; s.at++ {
		for s.at+8 <= len(s.b) && plain(binary.LittleEndian.Uint64(s.b[s.at:])) {
			s.at += 8
		}
		if s.at >= len(s.b) {
			s.fail()
			return
		}
		switch c := s.b[s.at]; {
		case c == '"':
			s.at++
			return
		case c == '\\':
			s.escape()
		case c < ' ':
			s.fail()
		}
		if s.failed() {
			return
		}
	}
}

// plain reports whether none of the eight bytes is a quote, a backslash, or below
// a blank. It may say no to bytes that are fine.
func plain(w uint64) bool {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	quote, slash := w^(ones*'"'), w^(ones*'\\')
	return ((w-ones*' ')&^w|(quote-ones)&^quote|(slash-ones)&^slash)&highs == 0
}

// escape walks to the last byte of an escape.
func (s *scanner) escape() {
	s.at++
	if s.at >= len(s.b) {
		s.fail()
		return
	}
	switch s.b[s.at] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
	case 'u':
		for range 4 {
			s.at++
			if s.at >= len(s.b) || !isHex(s.b[s.at]) {
				s.fail()
				return
			}
		}
	default:
		s.fail()
	}
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func (s *scanner) number() {
	if s.at < len(s.b) && s.b[s.at] == '-' {
		s.at++
	}
	if s.at < len(s.b) && s.b[s.at] == '0' {
		s.at++
	} else {
		s.digits()
	}
	if s.at < len(s.b) && s.b[s.at] == '.' {
		s.at++
		s.digits()
	}
	if s.at < len(s.b) && s.b[s.at]|' ' == 'e' {
		s.at++
		if s.at < len(s.b) && (s.b[s.at] == '+' || s.b[s.at] == '-') {
			s.at++
		}
		s.digits()
	}
}

// digits walks past one digit or more.
func (s *scanner) digits() {
	begin := s.at
	for s.at < len(s.b) && '0' <= s.b[s.at] && s.b[s.at] <= '9' {
		s.at++
	}
	if s.at == begin {
		s.fail()
	}
}

func (s *scanner) word() {
	for _, word := range []string{"null", "true", "false"} {
		if end := s.at + len(word); end <= len(s.b) && string(s.b[s.at:end]) == word {
			s.at = end
			return
		}
	}
	s.fail()
}

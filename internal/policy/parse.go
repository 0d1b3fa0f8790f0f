package policy

import (
	"errors"
	"fmt"
	"strings"
)

// parse reads a rule as it stands in a policy file.
func parse(text string) (check, error) {
	p := &parser{words: words(text)}
	if len(p.words) == 0 {
		return always(true), nil
	}
	c, err := p.either()
	if err == nil && len(p.words) > 0 {
		err = fmt.Errorf("%q is one too many", p.words[0])
	}
	return c, err
}

// words splits at spaces; parentheses around a word are words of their own, those
// inside of one, as in %(project_id)s, are not.
func words(text string) []string {
	var all []string
	for _, w := range strings.Fields(text) {
		for strings.HasPrefix(w, "(") {
			all, w = append(all, "("), w[1:]
		}
		bare := strings.TrimRight(w, ")")
		if bare != "" {
			all = append(all, bare)
		}
		for range len(w) - len(bare) {
			all = append(all, ")")
		}
	}
	return all
}

type parser struct{ words []string }

func (p *parser) next(word string) bool {
	if len(p.words) == 0 || !strings.EqualFold(p.words[0], word) {
		return false
	}
	p.words = p.words[1:]
	return true
}

func (p *parser) either() (check, error) { return joined[or](p, "or", p.both) }

func (p *parser) both() (check, error) { return joined[and](p, "and", p.single) }

// joined reads what stands between the words.
func joined[T ~[]check](p *parser, word string, part func() (check, error)) (check, error) {
	var all T
	for {
		c, err := part()
		if err != nil {
			return nil, err
		}
		all = append(all, c)
		if !p.next(word) {
			break
		}
	}
	if len(all) == 1 {
		return all[0], nil
	}
	return any(all).(check), nil
}

func (p *parser) single() (check, error) {
	switch {
	case len(p.words) == 0:
		return nil, errors.New("it ends too early")
	case p.next("not"):
		inner, err := p.single()
		return not{inner}, err
	case p.next("("):
		inner, err := p.either()
		if err == nil && !p.next(")") {
			err = errors.New("a parenthesis is not closed")
		}
		return inner, err
	}
	word := p.words[0]
	p.words = p.words[1:]
	return parseWord(word)
}

func parseWord(word string) (check, error) {
	switch word {
	case "@":
		return always(true), nil
	case "!":
		return always(false), nil
	}
	kind, match, ok := strings.Cut(word, ":")
	if !ok || kind == "" {
		return nil, fmt.Errorf("%q is not of the form kind:match", word)
	}
	switch kind {
	case "rule":
		return rule(match), nil
	case "role":
		return role(match), nil
	case "http", "https":
		return nil, fmt.Errorf("%q asks another server, which is not supported", word)
	case "field":
		c, ok := field(match)
		if !ok {
			return nil, fmt.Errorf("%q is not of the form field:resource:attribute=value", word)
		}
		return c, nil
	}
	return same(kind, match), nil
}

package config

import (
	"errors"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// readYAML reads the file strictly. Its errors show the line.
func (c *Config) readYAML(data []byte) error {
	err := yaml.UnmarshalWithOptions(data, c, yaml.Strict())
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[yaml.Error](err); !ok {
		err = locate(data, err)
	}
	return errors.New(strings.TrimSpace(yaml.FormatError(err, false, true)))
}

// locate finds the value that err quotes: what a type's UnmarshalText says comes
// without a place in the file.
func locate(data []byte, err error) error {
	file, parseErr := parser.ParseBytes(data, 0)
	if parseErr != nil {
		return err
	}
	f := &finder{message: strings.TrimPrefix(err.Error(), "time: ")}
	for _, doc := range file.Docs {
		ast.Walk(f, doc)
	}
	if f.found == nil {
		return err
	}
	return &yaml.SyntaxError{Message: f.message, Token: f.found.GetToken()}
}

type finder struct {
	message string
	found   ast.Node
}

func (f *finder) Visit(n ast.Node) ast.Visitor {
	if s, ok := n.(*ast.StringNode); ok && f.found == nil && strings.Contains(f.message, strconv.Quote(s.Value)) {
		f.found = n
	}
	return f
}

package reconcile

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/reconcile/plan"
)

// Default types are not under a project's path in Cinder.
const defaultTypes = "//v3/default-types"

func defaultTypePath(project string) string { return defaultTypes + "/" + url.PathEscape(project) }

var defaultTypeKind = replicaKind{
	find: func(ctx context.Context, c *pod.Client, project string) (json.RawMessage, error) {
		doc, err := cinderOne(ctx, c, reading(defaultTypePath(project), "show default type", defaultTypeVersion), "default_type", nil)
		if err != nil {
			return nil, missing(err)
		}
		return plan.ReadDefaultType(doc).Content(), nil
	},
	list: func(ctx context.Context, c *pod.Client, _ string) (shown []plan.Replica, contents []json.RawMessage, err error) {
		docs, err := cinderOne(ctx, c, pod.Request{Method: http.MethodGet, Path: defaultTypes, Header: defaultTypeVersion, Op: "list default types"},
			"default_types", nil)
		for _, doc := range docs.Array() {
			d := plan.ReadDefaultType(doc)
			shown, contents = append(shown, d.Replica()), append(contents, d.Content())
		}
		return shown, contents, err
	},
	remove: func(ctx context.Context, c *pod.Client, project string) error {
		return cinderDo(ctx, c, pod.Request{Method: http.MethodDelete, Path: defaultTypePath(project), Header: defaultTypeVersion,
			Op: "unset default type"}, nil, fault.NotFound)
	},
	bare: func(content json.RawMessage) (json.RawMessage, error) { return content, nil },
	plan: planDefaultType,
	has: func(_, after, found json.RawMessage) (bool, error) {
		want, err := decode[plan.DefaultType](after)
		if err != nil {
			return false, err
		}
		is, err := decode[plan.DefaultType](found)
		return err == nil && is != nil && *is == *want, err
	},
	show: func(content json.RawMessage) (plan.Replica, error) {
		d, err := decode[plan.DefaultType](content)
		if err != nil {
			return plan.Replica{}, err
		}
		return d.Replica(), nil
	},
}

// planDefaultType sets it by the same request, whether there was one or not.
func planDefaultType(v versions) (step, error) {
	want, err := decode[plan.DefaultType](v.want)
	if err != nil {
		return step{}, err
	}
	told, err := decode[plan.DefaultType](v.told)
	if err != nil {
		return step{}, err
	}
	is, err := decode[plan.DefaultType](v.found)
	if err != nil || !plan.DefaultTypeIn(*want, told, is, v.create) {
		return step{}, err
	}
	set := func(ctx context.Context, c *pod.Client, _ string) error {
		return cinderDo(ctx, c, pod.Request{Method: http.MethodPut, Path: defaultTypePath(want.Project), Header: defaultTypeVersion,
			Op: "set default type"}, map[string]any{"default_type": map[string]string{"volume_type": want.Type}})
	}
	s := step{words: []string{"make volume type " + want.Type + " the default"}}
	if is != nil {
		s.change = set
		return s, nil
	}
	s.create = func(ctx context.Context, c *pod.Client) (string, error) { return want.Project, set(ctx, c, "") }
	return s, nil
}

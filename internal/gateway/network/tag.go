package network

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/identity"
)

// tagged are the attributes of a resource that can have tags. It may declare "tags"
// itself.
func tagged(attributes ...attribute) []attribute {
	if !slices.ContainsFunc(attributes, func(a attribute) bool { return a.name == "tags" }) {
		attributes = append(attributes, attribute{name: "tags", filter: asIs})
	}
	return append(standard(attributes...),
		attribute{name: "tags-any", filter: asIs, see: nobody},
		attribute{name: "not-tags", filter: asIs, see: nobody},
		attribute{name: "not-tags-any", filter: asIs, see: nobody},
	)
}

// tagRoutes are the lines for the resource's tags. As with Neutron, they have no
// policy of their own: who may change the thing may change them.
func (res *resource[T]) tagRoutes(one string) []gateway.Route {
	line := func(method, tail string, h gateway.Handler) gateway.Route {
		policy := "update_" + res.one
		if method == http.MethodGet {
			policy = "get_" + res.one
		}
		return gateway.Route{Method: method, Pattern: one + "/tags" + tail, Strategy: gateway.Central, Policy: policy, Handle: h}
	}
	return []gateway.Route{
		line(http.MethodGet, "", res.listTags),
		line(http.MethodPut, "", res.replaceTags),
		line(http.MethodDelete, "", res.dropTags),
		line(http.MethodPost, "", func(context.Context, identity.Caller, *gateway.Request) (*gateway.Reply, error) {
			return nil, fault.New(fault.NotFound, "HTTPNotFound", "not supported")
		}),
		line(http.MethodGet, "/{tag}", res.showTag),
		line(http.MethodPut, "/{tag}", res.addTag),
		line(http.MethodDelete, "/{tag}", res.dropTag),
	}
}

// addTags puts the tags into what is shown.
func (res *resource[T]) addTags(ctx context.Context, shown []map[string]any) error {
	if res.tags == nil || len(shown) == 0 {
		return nil
	}
	ids := make([]string, len(shown))
	for i := range shown {
		ids[i] = shown[i]["id"].(string)
	}
	tags, err := res.store.TagsOf(ctx, res.tags, ids...)
	for i, id := range ids {
		shown[i]["tags"] = append([]string{}, tags[id]...)
	}
	return err
}

// holder is the ID of the thing whose tags are asked for.
func (res *resource[T]) holder(ctx context.Context, by identity.Caller, r *gateway.Request) (string, error) {
	id := r.Param("id")
	var err error
	if r.Method == http.MethodGet || res.tagsBySight {
		_, err = res.get(ctx, by, id)
	} else {
		_, _, err = res.toChange(ctx, by, r)
	}
	if fault.Is(err, fault.NotFound) {
		err = fault.New(fault.NotFound, "TagResourceNotFound", "Resource %s %s could not be found.", res.many, id)
	}
	return id, err
}

func noTag(tag string) error {
	return fault.New(fault.NotFound, "TagNotFound", "Tag %s could not be found.", tag)
}

func (res *resource[T]) listTags(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	id, err := res.holder(ctx, by, r)
	if err != nil {
		return nil, err
	}
	tags, err := res.store.TagsOf(ctx, res.tags, id)
	return gateway.JSON(http.StatusOK, map[string]any{"tags": append([]string{}, tags[id]...)}), err
}

func (res *resource[T]) showTag(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	tag, err := readTag(r)
	if err != nil {
		return nil, err
	}
	id, err := res.holder(ctx, by, r)
	if err != nil {
		return nil, err
	}
	tags, err := res.store.TagsOf(ctx, res.tags, id)
	if err == nil && !slices.Contains(tags[id], tag) {
		err = noTag(tag)
	}
	return gateway.Empty(http.StatusNoContent), err
}

func (res *resource[T]) replaceTags(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	raw, err := r.Bytes()
	if err != nil {
		return nil, err
	}
	body, err := parse(raw)
	if err != nil {
		return nil, err
	}
	sent, given := body["tags"]
	if !given {
		return nil, invalidInput("Invalid tags body")
	}
	tags, err := readTags("tags", sent)
	if err != nil {
		return nil, err
	}
	id, err := res.holder(ctx, by, r)
	if err != nil {
		return nil, err
	}
	_, err = res.store.ChangeTags(ctx, res.tags, id, func([]string) ([]string, error) { return tags.([]string), nil })
	return gateway.JSON(http.StatusOK, map[string]any{"tags": tags}), err
}

func (res *resource[T]) dropTags(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	id, err := res.holder(ctx, by, r)
	if err != nil {
		return nil, err
	}
	_, err = res.store.ChangeTags(ctx, res.tags, id, func([]string) ([]string, error) { return nil, nil })
	return gateway.Empty(http.StatusNoContent), err
}

func (res *resource[T]) addTag(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	err := res.changeTag(ctx, by, r, func(tag string, has []string) ([]string, error) { return append(has, tag), nil })
	return gateway.JSON(http.StatusCreated, json.RawMessage("null")), err // which Neutron sends
}

func (res *resource[T]) dropTag(ctx context.Context, by identity.Caller, r *gateway.Request) (*gateway.Reply, error) {
	err := res.changeTag(ctx, by, r, func(tag string, has []string) ([]string, error) {
		i := slices.Index(has, tag)
		if i < 0 {
			return nil, noTag(tag)
		}
		return slices.Delete(has, i, i+1), nil
	})
	return gateway.Empty(http.StatusNoContent), err
}

func (res *resource[T]) changeTag(ctx context.Context, by identity.Caller, r *gateway.Request, change func(string, []string) ([]string, error)) error {
	tag, err := readTag(r)
	if err != nil {
		return err
	}
	id, err := res.holder(ctx, by, r)
	if err != nil {
		return err
	}
	_, err = res.store.ChangeTags(ctx, res.tags, id, func(has []string) ([]string, error) { return change(tag, has) })
	return err
}

// readTag is the tag in the path.
func readTag(r *gateway.Request) (string, error) {
	tag := r.Param("tag")
	if _, err := readTexts("tag", []any{tag}); err != nil {
		return "", bareInput(err)
	}
	return tag, nil
}

// readTags is a list of tags in a body of its own.
func readTags(name string, v any) (any, error) {
	tags, err := readTexts(name, v)
	return tags, bareInput(err)
}

// bareInput rewords a reader's refusal: about tags Neutron does not name the
// attribute.
func bareInput(err error) error {
	if err == nil {
		return nil
	}
	_, reason, _ := strings.Cut(err.Error(), " Reason: ")
	return invalidInput("%s", strings.TrimSuffix(reason, "."))
}

package cinder

import (
	"crypto/md5" //nolint:gosec // Cinder's entity tags
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// mountMetadata serves the metadata of a kind of things, called what.
func mountMetadata(v verbs, what, path string, of func(r *rest.Request) (map[string]string, error)) {
	v.get(path, func(r *rest.Request) (*rest.Reply, error) {
		m, err := of(r)
		if err != nil || r.Minor < 15 || what != "Volume" {
			return &rest.Reply{Status: http.StatusOK, Body: rest.Doc{"metadata": maps.Clone(m)}}, err
		}
		text, err := json.Marshal(rest.Doc{"metadata": m})
		tag := md5.Sum(text) //nolint:gosec // Cinder's entity tag
		return &rest.Reply{Status: http.StatusOK, Raw: text, Type: "text/html; charset=UTF-8", Header: http.Header{"Etag": {hex.EncodeToString(tag[:])}}}, err
	})
	change := func(clean bool) rest.Handler {
		return func(r *rest.Request) (*rest.Reply, error) {
			in, err := body(r, "metadata")
			if err != nil {
				return nil, err
			}
			m, err := of(r)
			if err != nil {
				return nil, err
			}
			if clean {
				clear(m)
			}
			for k, val := range in {
				m[k] = rest.Text(val)
			}
			return rest.OK(rest.Doc{"metadata": maps.Clone(m)})
		}
	}
	v.post(path, change(false))
	v.put(path, change(true))
	mountMetadataItem(v, what, path+"/{key}", of)
}

func mountMetadataItem(v verbs, what, path string, of func(r *rest.Request) (map[string]string, error)) {
	item := func(r *rest.Request) (map[string]string, string, error) {
		m, err := of(r)
		if err != nil {
			return nil, "", err
		}
		value, ok := m[r.Param("key")]
		if !ok {
			return nil, "", fail(http.StatusNotFound, "%s %s has no metadata with key %s.", what, r.Param("id"), r.Param("key"))
		}
		return m, value, nil
	}
	v.get(path, func(r *rest.Request) (*rest.Reply, error) {
		_, value, err := item(r)
		return &rest.Reply{Status: http.StatusOK, Body: rest.Doc{"meta": rest.Doc{r.Param("key"): value}}}, err
	})
	v.put(path, func(r *rest.Request) (*rest.Reply, error) {
		in, err := body(r, "meta")
		if err != nil {
			return nil, err
		}
		m, err := of(r)
		if err != nil {
			return nil, err
		}
		if _, ok := in[r.Param("key")]; !ok || len(in) != 1 {
			return nil, badRequest("Request body and URI mismatch")
		}
		m[r.Param("key")] = rest.Text(in[r.Param("key")])
		return rest.OK(rest.Doc{"meta": in})
	})
	v.del(path, func(r *rest.Request) (*rest.Reply, error) {
		m, _, err := item(r)
		if err != nil {
			return nil, err
		}
		delete(m, r.Param("key"))
		return &rest.Reply{Status: http.StatusOK}, nil
	})
}

package gateway

import (
	"io"
	"net/http"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/dispatch"
	"github.com/tricircle/tricircle/internal/release"
)

// UnreachableHeader names the pods that are missing in an answer.
const UnreachableHeader = "X-Tricircle-Unreachable-Pods"

// MergedList is the reply that sends a merged list.
func MergedList(result *dispatch.Result) *Reply {
	reply := &Reply{Write: func(w io.Writer) error {
		_, err := result.WriteTo(w)
		return err
	}}
	if untold := result.Untold(); len(untold) > 0 {
		reply.Header = http.Header{release.UntoldHeader: untold}
	}
	return reply.Without(result.Unreachable()...)
}

// Without says in the reply's header which pods are missing in it, if any.
func (r *Reply) Without(pods ...string) *Reply {
	if r.Header == nil {
		r.Header = http.Header{}
	}
	if len(pods) > 0 {
		r.Header.Set(UnreachableHeader, strings.Join(pods, ", "))
	}
	return r
}

// SetField replaces the value of a member that is there and not null, and leaves
// every other byte of the document as it is.
func SetField(doc []byte, path, value string) []byte {
	found := gjson.GetBytes(doc, path)
	if found.Type == gjson.Null || found.Index == 0 {
		return doc
	}
	quoted := Quote(value)
	out := make([]byte, 0, len(doc)+len(quoted))
	out = append(out, doc[:found.Index]...)
	out = append(out, quoted...)
	return append(out, doc[found.Index+len(found.Raw):]...)
}

// Quote is the string as JSON.
func Quote(s string) []byte {
	quoted, err := encode(s)
	if err != nil {
		panic(err) // strings always encode
	}
	return quoted
}

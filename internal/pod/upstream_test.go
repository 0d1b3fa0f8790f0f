package pod

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tricircle/tricircle/internal/fault"
)

// The files are replies of real services (Zed) and of HAProxy.
func TestUpstreamOfRealServices(t *testing.T) {
	t.Parallel()
	const (
		auth   = "The request you have made requires authentication."
		absent = "The resource could not be found."
		zeros  = "00000000-0000-0000-0000-000000000000"
	)
	for _, tt := range []struct {
		file    string
		kind    fault.Kind
		code    string
		message string // a prefix where it ends in "…"
	}{
		{"nova-400", fault.Invalid, "badRequest", "Invalid input for field/attribute imageRef. Value: z. 'z' is not valid under any of the given schemas"},
		{"nova-401", fault.Unauthenticated, "", auth},
		{"nova-403", fault.Forbidden, "forbidden", "Policy doesn't allow os_compute_api:os-services:list to be performed."},
		{"nova-403-quota", fault.OverQuota, "forbidden", "Quota exceeded for cores, instances: Requested 500, 500, but already used 0, 0 of 20, 10 cores, instances"},
		{"nova-403-metadata", fault.OverQuota, "forbidden", "Maximum number of metadata items exceeds 128"},
		{"nova-404", fault.NotFound, "itemNotFound", "Instance " + zeros + " could not be found."},
		{"nova-404-path", fault.NotFound, "", absent},
		{"nova-406", fault.NotAcceptable, "computeFault", "Version 9.99 is not supported by the API. Minimum is 2.1 and maximum is 2.93."},
		{"nova-409", fault.Conflict, "conflictingRequest", "Flavor with ID 1 already exists."},
		{"nova-413", fault.TooLarge, "", "Request is too large. Larger than max_request_body_size (114688)."},
		{"neutron-400", fault.Invalid, "HTTPBadRequest", "Unrecognized attribute(s) 'nope'"},
		{"neutron-401", fault.Unauthenticated, "", auth},
		{"neutron-403", fault.Forbidden, "PolicyNotAuthorized", "(rule:create_network and rule:create_network:provider:network_type) is disallowed by policy"},
		{"neutron-404", fault.NotFound, "NetworkNotFound", "Network " + zeros + " could not be found."},
		{"neutron-404-path", fault.NotFound, "HTTPNotFound", absent},
		{"neutron-405", fault.NotAllowed, "HTTPMethodNotAllowed", "The server could not comply with the request since it is either malformed or otherwise incorrect."},
		{"neutron-409", fault.Conflict, "SecurityGroupDefaultAlreadyExists", "Default security group already exists."},
		{"neutron-409-quota", fault.OverQuota, "OverQuota", "Quota exceeded for resources: ['rbac_policy']."},
		{"cinder-400", fault.Invalid, "badRequest", "Invalid input for field/attribute size. Value: 0. 0 is less than the minimum of 1"},
		{"cinder-401", fault.Unauthenticated, "", auth},
		{"cinder-403", fault.Forbidden, "forbidden", "Policy doesn't allow volume_extension:services:index to be performed."},
		{"cinder-404", fault.NotFound, "itemNotFound", "Volume " + zeros + " could not be found."},
		{"cinder-406", fault.NotAcceptable, "computeFault", "Version 9.99 is not supported by the API. Minimum is 3.0 and maximum is 3.70."},
		{"cinder-413-quota", fault.OverQuota, "overLimit", "VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed gigabytes quota. Requested 200000G, quota is 1000G and 0G has been consumed."},
		{"glance-400", fault.Invalid, "", "Provided object does not match schema 'image': 5 is not of type 'string' Failed validating 'type' in schema['properties']['visibility']:…"},
		{"glance-401", fault.Unauthenticated, "", "This server could not verify that you are authorized to access the document you requested.…"},
		{"glance-403", fault.Forbidden, "", "You are not authorized to complete publicize_image action."},
		{"glance-404", fault.NotFound, "", "No image found with ID " + zeros},
		{"glance-405", fault.NotAllowed, "", "The method PUT is not allowed for this resource."},
		{"keystone-401", fault.Unauthenticated, "", auth},
		{"keystone-403", fault.Forbidden, "", "You are not authorized to perform the requested action: identity:list_users."},
		{"keystone-404", fault.NotFound, "", "Could not find user: nope."},
		{"keystone-409", fault.Conflict, "", "Conflict occurred attempting to store project -…"},
		{"haproxy-503", fault.Unavailable, "", "cannot create port: No server is available to handle this request."},
	} {
		t.Run(tt.file, func(t *testing.T) {
			t.Parallel()
			raw, err := os.ReadFile(filepath.Join("testdata", "errors", tt.file+".http"))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(raw)), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			got := upstream(t, resp)
			if prefix, cut := strings.CutSuffix(tt.message, "…"); cut && strings.HasPrefix(got.Message, prefix) {
				got.Message = tt.message
			}
			_, body, _ := bytes.Cut(raw, []byte("\n\n"))
			want := &fault.Error{
				Kind:     tt.kind,
				Code:     tt.code,
				Message:  tt.message,
				Pod:      "eu-2",
				Upstream: &fault.Upstream{Status: resp.StatusCode, Header: resp.Header, Body: body},
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("Upstream(%s) (-want +got):\n%s", tt.file, diff)
			}
		})
	}
}

func upstream(t *testing.T, resp *http.Response) *fault.Error {
	t.Helper()
	err := Upstream("eu-2", "create port", resp)
	f, ok := errors.AsType[*fault.Error](err)
	if !ok {
		t.Fatalf("Upstream = %v, want a fault", err)
	}
	return f
}

// canned is a reply that is made up.
type canned struct {
	status int
	header http.Header
	body   string
}

func reply(status int, contentType, body string) canned {
	return canned{status, http.Header{"Content-Type": {contentType}}, body}
}

func (c canned) upstream(t *testing.T) *fault.Error {
	t.Helper()
	return upstream(t, &http.Response{
		StatusCode: c.status,
		Header:     c.header,
		Body:       io.NopCloser(strings.NewReader(c.body)),
	})
}

func TestUpstreamOfOddReplies(t *testing.T) {
	t.Parallel()
	const j, h, p = "application/json", "text/html", "text/plain"
	for _, tt := range []struct {
		name    string
		resp    canned
		kind    fault.Kind
		code    string
		message string
	}{
		{"empty", reply(500, "", ""), fault.Unavailable, "", "cannot create port: 500 Internal Server Error"},
		{"empty, unknown status", reply(599, "", ""), fault.Unavailable, "", "cannot create port: status 599"},
		{"empty object", reply(404, j, "{}"), fault.NotFound, "", "{}"},
		{"text", reply(502, p, "bad gateway\n"), fault.Unavailable, "", "cannot create port: bad gateway"},
		{"broken JSON", reply(400, j, `{"NeutronError": {"mess`), fault.Invalid, "", `{"NeutronError": {"mess`},
		{"JSON with another type", reply(409, h, `{"conflictingRequest": {"message": "no", "code": 409}}`), fault.Conflict, "conflictingRequest", "no"},
		{"control characters", reply(400, p, "a\x00b\x1b[31m\u202ec\r\nd"), fault.Invalid, "", "ab[31mc d"},
		{"not UTF-8", reply(400, p, "a\xff\xfeb"), fault.Invalid, "", "ab"},
		{"neutron, a text", reply(409, j, `{"NeutronError": "in use"}`), fault.Conflict, "", "in use"},
		{"neutron, a list as message", reply(400, j, `{"NeutronError": {"type": "X", "message": ["a"]}}`), fault.Invalid, "X", `["a"]`},
		{"neutron, with detail", reply(400, j, `{"NeutronError": {"type": "X", "message": "a.", "detail": "b."}}`), fault.Invalid, "X", "a. b."},
		{"neutron, 503", reply(503, j, `{"NeutronError": {"type": "NoNetworkAvailable", "message": "m"}}`), fault.Unavailable, "NoNetworkAvailable", "cannot create port: m"},
		{"nova, 500", reply(500, j, `{"computeFault": {"code": 500, "message": "Unexpected API Error."}}`), fault.Unavailable, "computeFault", "cannot create port: Unexpected API Error."},
		{"nova, not there", reply(501, j, `{"computeFault": {"code": 501, "message": "m"}}`), fault.Refused, "computeFault", "m"},
		{"placement", reply(409, j, `{"errors": [{"status": 409, "title": "Conflict", "detail": "d", "code": "c"}]}`), fault.Conflict, "", "d"},
		{"webob", reply(404, j, `{"code": "404 Not Found", "title": "Not Found", "message": "gone<br /><br />\n\n"}`), fault.NotFound, "", "gone"},
		{"an error, a text", reply(400, j, `{"error": "invalid_request"}`), fault.Invalid, "", "invalid_request"},
		{"angle brackets", reply(400, j, `{"badRequest": {"message": "field <name> is bad"}}`), fault.Invalid, "badRequest", "field <name> is bad"},
		{"html, heading only", reply(504, h, `<html><head><title>t</title></head><body><h1>504 Gateway Time-out</h1></body></html>`), fault.Timeout, "", "cannot create port: 504 Gateway Time-out"},
		{"html, script", reply(502, h, `<!DOCTYPE html><script>alert("x")</script><p>proxy &amp; co`), fault.Unavailable, "", "cannot create port: proxy & co"},
		{"quota in a policy's name", reply(403, j, `{"forbidden": {"message": "Policy doesn't allow os_compute_api:os-quota-sets:update to be performed."}}`), fault.Forbidden, "forbidden", "Policy doesn't allow os_compute_api:os-quota-sets:update to be performed."},
		{"glance quota", reply(413, h, `<h1>413</h1>Denying attempt to upload image because it exceeds the quota: x`), fault.OverQuota, "", "Denying attempt to upload image because it exceeds the quota: x"},
		{"cinder quota by number", reply(413, j, `{"overLimit": {"message": "VolumeLimitExceeded: Maximum number of volumes allowed (10) exceeded for quota 'volumes'."}}`), fault.OverQuota, "overLimit", "VolumeLimitExceeded: Maximum number of volumes allowed (10) exceeded for quota 'volumes'."},
		{"conflict with the word", reply(409, j, `{"NeutronError": {"type": "InUse", "message": "quota exceeded elsewhere"}}`), fault.Conflict, "InUse", "quota exceeded elsewhere"},
		{"gone", reply(410, j, `{}`), fault.NotFound, "", "{}"},
		{"precondition", reply(412, j, `{"NeutronError": {"type": "RevisionNumberConstraintFailed", "message": "m"}}`), fault.PreconditionFailed, "RevisionNumberConstraintFailed", "m"},
		{"throttled", reply(429, p, "slow down"), fault.Unavailable, "", "slow down"},
		{"redirection", reply(302, p, ""), fault.Unavailable, "", "cannot create port: 302 Found"},
		{"unprocessable", reply(422, p, "no"), fault.Invalid, "", "no"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := tt.resp.upstream(t)
			want := &fault.Error{Kind: tt.kind, Code: tt.code, Message: tt.message, Pod: "eu-2"}
			if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(fault.Error{}, "Upstream")); diff != "" {
				t.Errorf("Upstream (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUpstreamReadsLittle(t *testing.T) {
	t.Parallel()
	resp := reply(400, "text/plain", strings.Repeat("é", 10*MaxErrorBody))
	got := resp.upstream(t)
	if n := len(got.Upstream.Body); n != MaxErrorBody {
		t.Errorf("Upstream kept %d bytes, want %d", n, MaxErrorBody)
	}
	if n := len(got.Message); n > maxMessage+8 || !utf8.ValidString(got.Message) {
		t.Errorf("Upstream made a message of %d bytes, want a valid one of at most %d", n, maxMessage)
	}
}

func TestUpstreamKeepsCompressedBodies(t *testing.T) {
	t.Parallel()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = io.WriteString(z, `{"itemNotFound": {"message": "no such thing"}}`)
	_ = z.Close()
	resp := reply(404, "application/json", packed.String())
	resp.header.Set("Content-Encoding", "gzip")
	got := resp.upstream(t)
	if got.Message != "no such thing" || !bytes.Equal(got.Upstream.Body, packed.Bytes()) {
		t.Errorf("Upstream = %q with %d bytes, want the message and the body as it came", got.Message, len(got.Upstream.Body))
	}
}

func FuzzUpstream(f *testing.F) {
	files, _ := filepath.Glob("testdata/errors/*.http")
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		_, body, _ := bytes.Cut(raw, []byte("\n\n"))
		f.Add(500, "text/html", string(body))
	}
	f.Fuzz(func(t *testing.T, status int, contentType, body string) {
		got := reply(status, contentType, body).upstream(t)
		if got.Message == "" || !utf8.ValidString(got.Message) || strings.ContainsAny(got.Message, "\n\r\x00") {
			t.Errorf("Upstream(%d, %q) says %q", status, body, got.Message)
		}
	})
}

package pod

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/tricircle/tricircle/internal/fault"
)

// MaxErrorBody is how much of an error's body is read and kept.
const MaxErrorBody = 64 << 10

// maxMessage bounds what of it becomes the message, in bytes.
const maxMessage = 2000

// kinds are the kinds of the statuses that need no second look.
var kinds = map[int]fault.Kind{
	http.StatusUnauthorized:          fault.Unauthenticated,
	http.StatusForbidden:             fault.Forbidden,
	http.StatusNotFound:              fault.NotFound,
	http.StatusMethodNotAllowed:      fault.NotAllowed,
	http.StatusNotAcceptable:         fault.NotAcceptable,
	http.StatusRequestTimeout:        fault.Timeout,
	http.StatusConflict:              fault.Conflict,
	http.StatusGone:                  fault.NotFound,
	http.StatusPreconditionFailed:    fault.PreconditionFailed,
	http.StatusRequestEntityTooLarge: fault.TooLarge,
	http.StatusTooManyRequests:       fault.Unavailable,
	http.StatusNotImplemented:        fault.Refused,
	http.StatusGatewayTimeout:        fault.Timeout,
}

// Upstream turns an OpenStack error reply into a fault: the kind from status and
// type, the message from the body, the reply itself in Upstream. It is the one
// place that knows how the services write errors. It does not close the body.
func Upstream(podName, op string, resp *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, MaxErrorBody))
	said := parseError(resp.Header, body)
	f := &fault.Error{
		Kind:     kindOf(resp.StatusCode, said),
		Code:     said.code,
		Message:  said.message,
		Pod:      podName,
		Upstream: &fault.Upstream{Status: resp.StatusCode, Header: resp.Header.Clone(), Body: body},
	}
	switch {
	case f.Message == "" || resp.StatusCode < 400: // a redirection's page says nothing
		f.Message = fmt.Sprintf("cannot %s: %s", op, statusText(resp.StatusCode))
	case resp.StatusCode >= 500 && f.Kind != fault.Refused: // "Unexpected API Error" does not say at what
		f.Message = fmt.Sprintf("cannot %s: %s", op, f.Message)
	}
	return f
}

func kindOf(status int, said statement) fault.Kind {
	if said.overQuota(status) {
		return fault.OverQuota
	}
	if k, ok := kinds[status]; ok {
		return k
	}
	if status >= 400 && status < 500 {
		return fault.Invalid
	}
	// 5xx, and a redirection where none is followed.
	return fault.Unavailable
}

// messageOf is the reply's message, or its status in words.
func messageOf(resp *http.Response) string {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, MaxErrorBody))
	if said := parseError(resp.Header, body); said.message != "" {
		return said.message
	}
	return statusText(resp.StatusCode)
}

func statusText(status int) string {
	if text := http.StatusText(status); text != "" {
		return fmt.Sprintf("%d %s", status, text)
	}
	return fmt.Sprintf("status %d", status)
}

// statement is what an error's body says.
type statement struct {
	code    string // Neutron's type, Nova's and Cinder's key
	message string
}

var quotaWords = regexp.MustCompile(`(?i)quota exceeded|exceed\w* .*quota|maximum number of .* exceed|limit exceeded|over a limit`)

// overQuota knows the ways to say so: Neutron 409 with a type, Nova 403, Cinder
// 413 overLimit, Glance 413 or 403 in prose.
func (s statement) overQuota(status int) bool {
	switch status {
	case http.StatusConflict:
		return s.code == "OverQuota" || s.code == "QuotaExceeded"
	case http.StatusForbidden:
		return quotaWords.MatchString(s.message)
	case http.StatusRequestEntityTooLarge:
		return s.code == "overLimit" || quotaWords.MatchString(s.message)
	}
	return false
}

func parseError(h http.Header, body []byte) statement {
	if h.Get("Content-Encoding") == "gzip" {
		body = gunzip(body)
	}
	body = bytes.TrimSpace(body)
	if len(body) > 0 && (body[0] == '{' || body[0] == '[') {
		if s, ok := parseJSON(body); ok {
			return s
		}
	}
	if bytes.HasPrefix(body, []byte("<")) || strings.Contains(h.Get("Content-Type"), "html") {
		return statement{message: clean(textOfHTML(string(body)))}
	}
	return statement{message: clean(string(body))}
}

func gunzip(body []byte) []byte {
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil
	}
	plain, _ := io.ReadAll(io.LimitReader(z, MaxErrorBody)) // a cut end is expected
	return plain
}

// parseJSON finds the message in one of
//
//	{"NeutronError": {"type": …, "message": …, "detail": …}}    Neutron; or a text
//	{"itemNotFound": {"code": 404, "message": …}}               Nova, Cinder
//	{"error": {"code": 401, "title": …, "message": …}}          Keystone, its middleware
//	{"errors": [{"title": …, "detail": …}]}                     Placement
//	{"code": "404 Not Found", "title": …, "message": …}         WebOb
func parseJSON(body []byte) (statement, bool) {
	var top map[string]json.RawMessage
	if json.Unmarshal(body, &top) != nil {
		return statement{}, false
	}
	if s := parseDetail(body); s.message != "" {
		return s, true
	}
	for _, key := range sortedKeys(top) {
		var text string
		var list []json.RawMessage
		switch raw := top[key]; {
		case json.Unmarshal(raw, &text) == nil:
			if key == "NeutronError" || key == "error" || key == "faultstring" {
				return statement{message: clean(text)}, true
			}
		case json.Unmarshal(raw, &list) == nil && len(list) > 0:
			if s := parseDetail(list[0]); s.message != "" {
				return s, true
			}
		default:
			s := parseDetail(raw)
			if s.code == "" && key != "error" && key != "NeutronError" {
				s.code = key
			}
			if s.message != "" {
				return s, true
			}
		}
	}
	return statement{}, false
}

func parseDetail(raw []byte) statement {
	var d struct {
		Type    string          `json:"type"`
		Message json.RawMessage `json:"message"`
		Detail  json.RawMessage `json:"detail"`
		Title   string          `json:"title"`
	}
	if json.Unmarshal(raw, &d) != nil {
		return statement{}
	}
	message := text(d.Message)
	if detail := text(d.Detail); message == "" {
		message = detail
	} else if detail != "" && !strings.Contains(message, detail) {
		message += " " + detail
	}
	if message == "" {
		message = d.Title
	}
	return statement{code: d.Type, message: clean(htmlBreak.ReplaceAllString(message, " "))}
}

// text is a JSON string's value, or another value as it is written.
func text(raw json.RawMessage) string {
	var s string
	if len(raw) == 0 || json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

func sortedKeys(m map[string]json.RawMessage) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

var (
	htmlInvisible = regexp.MustCompile(`(?is)<(head|script|style)\b.*?</(head|script|style)>`)
	htmlHeading   = regexp.MustCompile(`(?is)<h1\b[^>]*>.*?</h1>`)
	htmlBreak     = regexp.MustCompile(`<br ?/?>`) // WebOb puts them even into JSON
	htmlTag       = regexp.MustCompile(`(?s)</?[a-zA-Z!][^<>]*>`)
)

// textOfHTML is the text below the heading; of a page without one, the heading.
func textOfHTML(page string) string {
	page = htmlInvisible.ReplaceAllString(page, " ")
	if below := stripTags(htmlHeading.ReplaceAllString(page, " ")); strings.TrimSpace(below) != "" {
		return below
	}
	return stripTags(page)
}

func stripTags(s string) string {
	return html.UnescapeString(htmlTag.ReplaceAllString(s, " "))
}

// clean makes one line of readable text.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > maxMessage {
		s = strings.ToValidUTF8(s[:maxMessage], "") + " …"
	}
	return s
}

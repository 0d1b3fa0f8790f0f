package alias

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod"
)

// shelf is a book of one pod whose pairs a test changes.
type shelf struct {
	pairs []Pair
	err   error
	asked []int64
}

func (s *shelf) since(_ context.Context, _ string, after int64) ([]Pair, error) {
	s.asked = append(s.asked, after)
	var news []Pair
	for _, p := range s.pairs {
		if p.Seq > after {
			news = append(news, p)
		}
	}
	return news, s.err
}

// podCall is what came to the pod.
type podCall struct {
	Path, RawQuery, Body, Accept string
	Query                        url.Values
	Length                       int64
	Replayable                   bool
}

// echo is a pod that notes the request, and answers with the pod's ID.
func echo(got *podCall, header http.Header) pod.Doer {
	return func(_ context.Context, r pod.Request) (*http.Response, error) {
		*got = podCall{Path: r.Path, RawQuery: r.RawQuery, Query: r.Query, Length: r.Length, Accept: r.Header.Get("Accept-Encoding")}
		if r.Body != nil {
			_, got.Replayable = r.Body.(*bytes.Reader)
			b, err := io.ReadAll(r.Body)
			if err != nil {
				return nil, err
			}
			got.Body = string(b)
		}
		return &http.Response{StatusCode: http.StatusOK, Header: header.Clone(), Body: io.NopCloser(strings.NewReader(`{"id": "` + theirs + `"}`))}, nil
	}
}

func TestAround(t *testing.T) {
	t.Parallel()
	s := &shelf{}
	b, c := NewBook(s.since), pod.New(pod.Options{Name: "pod1", Account: pod.NewAccount(pod.AccountOptions{})})
	jsonHeader := http.Header{"Content-Type": {"application/json"}, "Location": {"http://pod1/v2.1/servers/" + theirs}}
	body := `{"server": "` + ours + `"}`
	ask := func(r pod.Request, header http.Header) (got podCall, location, answer string) {
		t.Helper()
		resp, err := b.Around(t.Context(), c, r, echo(&got, header))
		if err != nil {
			t.Fatalf("Around: %v", err)
		}
		defer resp.Body.Close()
		all, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return got, resp.Header.Get("Location"), string(all)
	}
	request := func() pod.Request {
		return pod.Request{Path: "/servers/" + ours, RawQuery: "uuid=" + ours, Query: url.Values{"a": {"x", ours}, "b": {"y"}},
			Header: http.Header{"Content-Type": {"application/json"}, "Accept-Encoding": {"gzip"}},
			Body:   strings.NewReader(body), Length: int64(len(body))}
	}

	got, _, answer := ask(request(), jsonHeader)
	if got.Path != "/servers/"+ours || got.Body != body || got.Accept != "gzip" || !strings.Contains(answer, theirs) {
		t.Errorf("without aliases: %+v, %s; want all as it was", got, answer)
	}

	s.pairs = []Pair{{ID: ours, PodID: theirs, Seq: 7}}
	got, location, answer := ask(request(), jsonHeader)
	want := podCall{Path: "/servers/" + theirs, RawQuery: "uuid=" + theirs, Query: url.Values{"a": {"x", theirs}, "b": {"y"}},
		Body: `{"server": "` + theirs + `"}`, Length: int64(len(body)), Replayable: true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the pod was asked (-want +got):\n%s", diff)
	}
	if answer != `{"id": "`+ours+`"}` || location != "http://pod1/v2.1/servers/"+ours {
		t.Errorf("answer = %s, Location %s; want our ID", answer, location)
	}

	r := request()
	r.Body = io.MultiReader(strings.NewReader(body[:20]), strings.NewReader(body[20:]))
	if got, _, _ := ask(r, jsonHeader); got.Body != want.Body || got.Length != int64(len(body)) {
		t.Errorf("a body that is a stream came as %+v, want %s", got, want.Body)
	}
	r = request()
	r.Header.Set("Content-Type", "application/octet-stream")
	if got, _, answer := ask(r, http.Header{"Content-Type": {"application/octet-stream"}}); got.Body != body || !strings.Contains(answer, theirs) {
		t.Errorf("data that is no JSON changed: %+v, %s", got, answer)
	}
	if _, _, answer := ask(request(), http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"gzip"}}); !strings.Contains(answer, theirs) {
		t.Errorf("a packed answer changed: %s", answer)
	}
	if diff := cmp.Diff([]int64{0, 0, 7, 7, 7}, s.asked); diff != "" {
		t.Errorf("pairs were asked for after (-want +got):\n%s", diff)
	}
}

// TestAroundWithoutBook: nobody is asked about a server under a name that may be
// wrong: a 404 would be believed.
func TestAroundWithoutBook(t *testing.T) {
	t.Parallel()
	s := &shelf{err: errors.New("no database")}
	b, c := NewBook(s.since), pod.New(pod.Options{Name: "pod1", Account: pod.NewAccount(pod.AccountOptions{})})
	_, err := b.Around(t.Context(), c, pod.Request{Path: "/"}, func(context.Context, pod.Request) (*http.Response, error) { //nolint:bodyclose // there is none
		t.Error("the pod was asked")
		return nil, errors.New("asked")
	})
	if !fault.Is(err, fault.Unavailable) || !pod.NotSent(err) {
		t.Errorf("Around: %v, want Unavailable, and not sent", err)
	}
}

package dispatch

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/pod"
	"github.com/tricircle/tricircle/internal/store"
)

// remote is a pod behind HTTP that always sends the same page.
type remote struct {
	name   string
	url    string
	client *http.Client
}

func (r remote) Name() string { return r.name }

func (r remote) Do(ctx context.Context, _ pod.Request) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, nil)
	if err != nil {
		return nil, err
	}
	return r.client.Do(req)
}

// novaServer is a detailed server of the usual size, 2.8 KB.
func novaServer(podName string, i int) string {
	created := time.Unix(int64(1e9+i), 0).UTC().Format(time.RFC3339)
	id := fmt.Sprintf("%08x-%s-0000-0000-%012d", i*2654435761%(1<<32), podName, i)
	return fmt.Sprintf(`{"id": %q, "name": "web-%d", "status": "ACTIVE", "tenant_id": "7aeefa8396ee41dea3fc98c14f983113", `+
		`"user_id": "a5bfd592e39d40b7bccbb4a28918aae2", "metadata": {"filler": %q}, "hostId": "%056d", "image": {"id": "84181aed", `+
		`"links": [{"rel": "bookmark", "href": "http://10.0.0.1:8774/images/84181aed"}]}, "created": %q, "updated": %q, `+
		`"links": [{"rel": "self", "href": "http://10.0.0.1:8774/v2.1/servers/%s"}, {"rel": "bookmark", "href": "http://10.0.0.1:8774/servers/%s"}], `+
		`"OS-EXT-STS:task_state": null, "OS-EXT-STS:vm_state": "active", "OS-EXT-STS:power_state": 1}`,
		id, i, strings.Repeat("x", 2000), i, created, created, id, id)
}

func remotes(b *testing.B, pods, servers int) (all []remote, size int64) {
	b.Helper()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4}}
	for p := range pods {
		name := fmt.Sprintf("pd%02d", p)
		rows := make([]string, servers)
		for i := range servers {
			rows[i] = novaServer(name, (servers-i)*pods+p)
		}
		body := `{"servers": [` + strings.Join(rows, ", ") + `]}`
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
			_, _ = io.WriteString(w, body)
		}))
		b.Cleanup(server.Close)
		all = append(all, remote{name, server.URL, client})
		size += int64(len(body))
	}
	return all, size
}

// BenchmarkTenPods compares the merged list of 10 pods with 1000 servers each to
// reading the same bytes from them without looking.
func BenchmarkTenPods(b *testing.B) {
	all, size := remotes(b, 10, 1000)
	b.Run("direct", func(b *testing.B) {
		b.SetBytes(size)
		b.ReportAllocs()
		for b.Loop() {
			var wg sync.WaitGroup
			for _, r := range all {
				wg.Go(func() {
					resp, err := r.Do(context.Background(), pod.Request{})
					if err != nil {
						b.Error(err)
						return
					}
					defer resp.Body.Close()
					if _, err := io.Copy(io.Discard, resp.Body); err != nil {
						b.Error(err)
					}
				})
			}
			wg.Wait()
		}
	})
	b.Run("merged", func(b *testing.B) {
		d := New(Options{
			Pods: func(context.Context) ([]store.Pod, error) {
				rows := make([]store.Pod, len(all))
				for i, r := range all {
					rows[i].Name = r.name
				}
				return rows, nil
			},
			Client: func(_ context.Context, name string) (Pod, error) {
				for _, r := range all {
					if r.name == name {
						return r, nil
					}
				}
				return nil, fault.New(fault.NotFound, "", "no pod %s", name)
			},
			Index: &fakeIndex{},
		})
		l := serverList(newestFirst()...)
		b.SetBytes(size)
		b.ReportAllocs()
		for b.Loop() {
			result, err := d.List(context.Background(), l)
			if err != nil {
				b.Fatal(err)
			}
			n, err := result.WriteTo(io.Discard)
			if err != nil || n < size-1000 {
				b.Fatalf("%d of %d bytes, %v", n, size, err)
			}
		}
	})
}

package compute

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
	"github.com/tricircle/tricircle/internal/store"
)

func TestServerSort(t *testing.T) {
	t.Parallel()
	tests := []struct{ query, want string }{
		{"", "created_at- uuid+"},
		{"sort_key=display_name", "display_name- uuid+"},
		{"sort_key=display_name&sort_dir=asc", "display_name+ uuid+"},
		{"sort_key=vm_state&sort_key=display_name&sort_dir=asc", "vm_state+ display_name+ uuid+"},
		{"sort_key=vm_state&sort_key=display_name&sort_dir=asc&sort_dir=desc", "vm_state+ display_name- uuid+"},
		{"sort_key=uuid&sort_dir=desc&sort_key=display_name", "uuid-"},
		{"sort_key=memory_mb", "uuid+"},
		{"sort_key=locked", "uuid+"},
		{"sort_key=nonsense", "nonsense- uuid+"},
	}
	for _, tt := range tests {
		t.Run(tt.query, func(t *testing.T) {
			t.Parallel()
			query, err := url.ParseQuery(tt.query)
			if err != nil {
				t.Fatal(err)
			}
			keys, err := serverSort(query, gateway.Microversion{Major: 2, Minor: 1})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, k := range keys {
				dir := "+"
				if k.Desc {
					dir = "-"
				}
				got = append(got, k.Name+dir)
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, " ")); diff != "" {
				t.Errorf("serverSort(%q) (-want +got):\n%s", tt.query, diff)
			}
		})
	}
	if _, err := serverSort(url.Values{"sort_dir": {"up"}}, latest); !fault.Is(err, fault.Invalid) {
		t.Errorf("serverSort with a bad direction = %v, want kind %v", err, fault.Invalid)
	}
}

// TestServerKeysAreFound holds that the paths, some with colons, find values.
func TestServerKeysAreFound(t *testing.T) {
	t.Parallel()
	server := `{"OS-SRV-USG:launched_at": "x", "OS-EXT-STS:vm_state": "active", "OS-EXT-AZ:availability_zone": "z", "image": {"id": "i"}}`
	for path, want := range map[string]string{
		serverKeys["launched_at"].Path: "x", serverKeys["vm_state"].Path: "active", serverKeys["image_ref"].Path: "i",
	} {
		if got := gjson.Get(server, path).String(); got != want {
			t.Errorf("%s = %q, want %q", path, got, want)
		}
	}
}

func TestLimitOf(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]int{"limit=5": 5, "limit=0": 0, "limit=5000": 1000, "": 1000} {
		query, _ := url.ParseQuery(in)
		if got, err := limitOf(query); err != nil || got != want {
			t.Errorf("limitOf(%q) = %d, %v, want %d", in, got, err, want)
		}
	}
	for _, in := range []string{"limit=-1", "limit=x", "limit="} {
		query, _ := url.ParseQuery(in)
		if got, err := limitOf(query); !fault.Is(err, fault.Invalid) {
			t.Errorf("limitOf(%q) = %d, %v, want kind %v", in, got, err, fault.Invalid)
		}
	}
}

func TestEntryFilter(t *testing.T) {
	t.Parallel()
	e := store.Entry{ID: "s1", Name: "web-1", ProjectID: "p1", UserID: "u1", CreatedAt: time.Unix(0, 0)}
	for query, want := range map[string]bool{
		"": true, "name=web": true, "name=WEB.1": true, "name=db": false, "name=%28": false, "all_tenants=1": true,
		"project_id=p1": true, "project_id=p2": false, "user_id=u1&name=web": true, "user_id=u2": false,
		"uuid=s1": true, "status=ACTIVE": false, "changes-since=2020-01-01": false,
	} {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		if got := entryFilter(values)(e); got != want {
			t.Errorf("entryFilter(%q) = %v, want %v", query, got, want)
		}
	}
}

func TestPageOf(t *testing.T) {
	t.Parallel()
	items := gjson.Parse(`[{"id":"a"},{"id":"b"},{"id":"c"}]`).Array()
	tests := []struct {
		marker string
		limit  int
		want   string
		more   bool
	}{
		{"", 10, "abc", false}, {"", 3, "abc", true}, {"", 2, "ab", true}, {"a", 1, "b", true}, {"c", 5, "", false}, {"", 0, "", false},
	}
	for _, tt := range tests {
		page, more, err := pageOf(items, "id", tt.marker, tt.limit)
		got := ""
		for _, item := range page {
			got += item.Get("id").Str
		}
		if err != nil || got != tt.want || more != tt.more {
			t.Errorf("pageOf(%q, %d) = %q, %v, %v, want %q, %v", tt.marker, tt.limit, got, more, err, tt.want, tt.more)
		}
	}
	if _, _, err := pageOf(items, "id", "zz", 1); !fault.Is(err, fault.Invalid) {
		t.Errorf("pageOf with a strange marker = %v, want kind %v", err, fault.Invalid)
	}
}

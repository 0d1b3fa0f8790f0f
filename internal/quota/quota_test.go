package quota_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/quota"
)

func TestDefaults(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		class quota.Amounts
		pods  []quota.Amounts
		want  int64
	}{
		"nobody has told":            {nil, nil, 10},
		"the largest of the pods":    {nil, []quota.Amounts{{"instances": 5}, {"instances": 7}, {"cores": 99}}, 7},
		"none is the largest":        {nil, []quota.Amounts{{"instances": 5}, {"instances": -1}, {"instances": 9}}, -1},
		"the region's class decides": {quota.Amounts{"instances": 3}, []quota.Amounts{{"instances": 5}}, 3},
		"zero is a number":           {quota.Amounts{"instances": 0}, []quota.Amounts{{"instances": 5}}, 0},
	} {
		if got := quota.Defaults(quota.Compute, tt.class, tt.pods)["instances"]; got != tt.want {
			t.Errorf("%s: Defaults = %d, want %d", name, got, tt.want)
		}
	}
}

func TestFit(t *testing.T) {
	t.Parallel()
	limits := quota.Amounts{"instances": 10, "cores": 20, "ram": 51200}
	project := func(n int64) quota.Scope {
		return quota.Scope{Limits: limits, Used: quota.Amounts{"instances": n, "cores": 2 * n, "ram": 512 * n}}
	}
	small, big := quota.Size{VCPUs: 2, RAM: 512}, quota.Size{VCPUs: 8, RAM: 16384}
	none := quota.Scope{Limits: quota.Amounts{"instances": -1, "cores": -1, "ram": -1}, Used: quota.Amounts{"instances": 1e6}}
	user := quota.Scope{Limits: limits.With(quota.Amounts{"instances": 1}), Used: quota.Amounts{"instances": 1, "cores": 2, "ram": 512}}
	for name, tt := range map[string]struct {
		scopes      []quota.Scope
		size        quota.Size
		least, most int
		want        int
		err         string
	}{
		"one of none":     {[]quota.Scope{project(0)}, small, 1, 1, 1, ""},
		"the last one":    {[]quota.Scope{project(9)}, small, 1, 1, 1, ""},
		"no more":         {[]quota.Scope{project(10)}, small, 1, 1, 0, "Quota exceeded for cores, instances: Requested 2, 1, but already used 20, 10 of 20, 10 cores, instances"},
		"as many as fit":  {[]quota.Scope{project(7)}, small, 1, 5, 3, ""},
		"too few fit":     {[]quota.Scope{project(7)}, small, 4, 5, 0, "Quota exceeded for cores, instances: Requested 10, 4-5, but already used 14, 7 of 20, 10 cores, instances"},
		"cores end first": {[]quota.Scope{project(0)}, big, 1, 5, 2, ""},
		"memory only": {[]quota.Scope{{Limits: limits, Used: quota.Amounts{"ram": 51000}}}, small, 1, 1, 0,
			"Quota exceeded for ram: Requested 512, but already used 51000 of 51200 ram"},
		"no limits":      {[]quota.Scope{none}, big, 100, 100, 100, ""},
		"over already":   {[]quota.Scope{project(12)}, quota.Size{}, 1, 1, 0, "Quota exceeded for cores, instances: Requested 0, 1, but already used 24, 12 of 20, 10 cores, instances"},
		"size not known": {[]quota.Scope{project(0)}, quota.Size{}, 1, 20, 10, ""},
		"the user's own": {[]quota.Scope{project(3), user}, small, 1, 1, 0, "Quota exceeded for instances: Requested 1, but already used 1 of 1 instances"},
		"quota of zero":  {[]quota.Scope{{Limits: quota.Amounts{"instances": 0, "cores": -1, "ram": -1}}}, small, 1, 1, 0, "Quota exceeded for instances: Requested 1, but already used 0 of 0 instances"},
	} {
		got, err := quota.Fit(tt.scopes, tt.size, tt.least, tt.most)
		if got != tt.want || message(err) != tt.err || err != nil && !fault.Is(err, fault.OverQuota) {
			t.Errorf("%s: Fit = %d, %v; want %d, %q", name, got, err, tt.want, tt.err)
		}
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestGrow(t *testing.T) {
	t.Parallel()
	from, to := quota.Size{VCPUs: 4, RAM: 512}, quota.Size{VCPUs: 2, RAM: 2048}
	more := quota.Growth(from, to)
	if diff := cmp.Diff(quota.Amounts{"ram": 1536}, more); diff != "" {
		t.Errorf("Growth (-want +got):\n%s", diff)
	}
	full := quota.Scope{Limits: quota.Amounts{"cores": 1, "ram": 2000}, Used: quota.Amounts{"cores": 4, "ram": 512}}
	want := "Quota exceeded for ram: Requested 1536, but already used 512 of 2000 ram"
	if err := quota.Grow([]quota.Scope{full}, more); message(err) != want {
		t.Errorf("Grow = %v, want %s", err, want)
	}
	if err := quota.Grow([]quota.Scope{full}, quota.Growth(to, from)); err == nil {
		t.Error("Grow of the cores of a project that is over them: no error")
	}
	if err := quota.Grow([]quota.Scope{full}, quota.Growth(from, from)); err != nil {
		t.Errorf("Grow by nothing: %v", err)
	}
	if got := from.Larger(to); got != (quota.Size{VCPUs: 4, RAM: 2048}) {
		t.Errorf("Larger = %v", got)
	}
}

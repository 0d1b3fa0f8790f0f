package nova

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/tricircle/tricircle/internal/pod/podtest/rest"
)

// Flavor is a size of servers.
type Flavor struct {
	ID, Name                          string
	RAM, VCPUs, Disk, Swap, Ephemeral int
	Private                           bool
	Projects                          []string // that see a private one
	Description                       any
	ExtraSpecs                        map[string]string

	number int // in the database; some messages show it
}

// AddFlavor adds a flavor. Mu must not be held.
func (s *Server) AddFlavor(f Flavor) {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	if f.ExtraSpecs == nil {
		f.ExtraSpecs = map[string]string{}
	}
	s.sequence++
	f.number = s.sequence
	s.flavors = append(s.flavors, &f)
}

func (s *Server) flavor(c rest.Caller, id string) *Flavor {
	for _, f := range s.flavors {
		if f.ID == id && (!f.Private || c.Admin() || slices.Contains(f.Projects, c.ProjectID)) {
			return f
		}
	}
	return nil
}

func (s *Server) findFlavor(r *rest.Request) (*Flavor, error) {
	f := s.flavor(r.Caller, r.Param("id"))
	if f == nil {
		return nil, fail(http.StatusNotFound, "Flavor %s could not be found.", r.Param("id"))
	}
	return f, nil
}

// swap is a number since 2.75; before, none was an empty text.
func swap(r *rest.Request, n int) any {
	if n == 0 && r.Minor < 75 {
		return ""
	}
	return n
}

func flavorDoc(r *rest.Request, f *Flavor) rest.Doc {
	d := rest.Doc{
		"id": f.ID, "name": f.Name, "ram": f.RAM, "disk": f.Disk, "swap": swap(r, f.Swap), "OS-FLV-EXT-DATA:ephemeral": f.Ephemeral,
		"OS-FLV-DISABLED:disabled": false, "vcpus": f.VCPUs, "os-flavor-access:is_public": !f.Private, "rxtx_factor": 1.0,
		"links": links(r, "flavors/"+f.ID),
	}
	if r.Minor >= 55 {
		d["description"] = f.Description
	}
	if r.Minor >= 61 {
		d["extra_specs"] = maps.Clone(f.ExtraSpecs)
	}
	return d
}

// flavorOf is the flavor within a server: a reference, since 2.47 the values.
func (s *Server) flavorOf(r *rest.Request, v *server) rest.Doc {
	f := v.flavor
	if r.Minor < 47 {
		return rest.Doc{"id": f.ID, "links": []rest.Doc{bookmark(r, "flavors/"+f.ID)}}
	}
	return rest.Doc{
		"vcpus": f.VCPUs, "ram": f.RAM, "disk": f.Disk, "ephemeral": f.Ephemeral, "swap": f.Swap, "original_name": f.Name,
		"extra_specs": maps.Clone(f.ExtraSpecs),
	}
}

func (s *Server) listFlavors(r *rest.Request) (*rest.Reply, error) {
	return s.flavorList(r, "flavors", func(f *Flavor) rest.Doc {
		d := rest.Doc{"id": f.ID, "name": f.Name, "links": links(r, "flavors/"+f.ID)}
		if r.Minor >= 55 {
			d["description"] = f.Description
		}
		return d
	})
}

func (s *Server) listFlavorsDetail(r *rest.Request) (*rest.Reply, error) {
	return s.flavorList(r, "flavors/detail", func(f *Flavor) rest.Doc { return flavorDoc(r, f) })
}

func (s *Server) flavorList(r *rest.Request, path string, view func(*Flavor) rest.Doc) (*rest.Reply, error) {
	q := r.URL.Query()
	limit, err := readLimit(q)
	if err != nil {
		return nil, err
	}
	found, err := s.selectFlavors(r)
	if err != nil {
		return nil, err
	}
	if marker := q.Get("marker"); marker != "" {
		at := slices.IndexFunc(found, func(f *Flavor) bool { return f.ID == marker })
		if at < 0 {
			return nil, badRequest("marker [%s] not found", marker)
		}
		found = found[at+1:]
	}
	out := rest.Doc{}
	if limit > 0 && len(found) >= limit {
		found = found[:limit]
		out["flavors_links"] = next(r, path, q, found[limit-1].ID)
	}
	docs := []rest.Doc{}
	for _, f := range found {
		docs = append(docs, view(f))
	}
	out["flavors"] = docs
	return rest.OK(out)
}

// flavorOrders are the keys by which a list can be sorted, as far as tests need.
var flavorOrders = map[string]func(a, b *Flavor) int{
	"flavorid":  func(a, b *Flavor) int { return cmp.Compare(a.ID, b.ID) },
	"name":      func(a, b *Flavor) int { return cmp.Compare(a.Name, b.Name) },
	"memory_mb": func(a, b *Flavor) int { return cmp.Compare(a.RAM, b.RAM) },
	"vcpus":     func(a, b *Flavor) int { return cmp.Compare(a.VCPUs, b.VCPUs) },
	"root_gb":   func(a, b *Flavor) int { return cmp.Compare(a.Disk, b.Disk) },
}

// selectFlavors filters and sorts.
func (s *Server) selectFlavors(r *rest.Request) ([]*Flavor, error) {
	least := map[string]int{}
	for _, name := range []string{"minRam", "minDisk"} {
		text := r.Query(name)
		n, err := strconv.Atoi(text)
		if text != "" && err != nil {
			return nil, badRequest("Invalid %s filter [%s]", name, text)
		}
		least[name] = n
	}
	if public := strings.ToLower(r.Query("is_public")); r.Caller.Admin() && !slices.Contains([]string{"", "none", "true", "false", "1", "0"}, public) {
		return nil, badRequest("Invalid is_public filter [%s]", r.Query("is_public"))
	}
	found := slices.DeleteFunc(slices.Clone(s.flavors), func(f *Flavor) bool {
		return !s.listed(r, f) || f.RAM < least["minRam"] || f.Disk < least["minDisk"]
	})
	order := flavorOrders[cmp.Or(r.Query("sort_key"), "flavorid")]
	if order == nil {
		return nil, badQuery("sort_key", r.Query("sort_key"), "it is not one of the keys")
	}
	slices.SortStableFunc(found, func(a, b *Flavor) int {
		if r.Query("sort_dir") == "desc" {
			return order(b, a)
		}
		return order(a, b)
	})
	return found, nil
}

// listed: admins may ask for private flavors with is_public=False, for all
// with None.
func (s *Server) listed(r *rest.Request, f *Flavor) bool {
	if !r.Caller.Admin() {
		return s.flavor(r.Caller, f.ID) != nil
	}
	switch strings.ToLower(r.Query("is_public")) {
	case "none":
		return true
	case "false", "0":
		return f.Private
	}
	return !f.Private || slices.Contains(f.Projects, r.Caller.ProjectID)
}

func (s *Server) showFlavor(r *rest.Request) (*rest.Reply, error) {
	f, err := s.findFlavor(r)
	if err != nil {
		return nil, err
	}
	return rest.OK(rest.Doc{"flavor": flavorDoc(r, f)})
}

func (s *Server) createFlavor(r *rest.Request) (*rest.Reply, error) {
	if !r.Caller.Admin() {
		return nil, denied("os_compute_api:os-flavor-manage:create")
	}
	in, _, err := body(r, "flavor")
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"name", "ram", "vcpus", "disk"} {
		if in[name] == nil {
			return nil, field("flavor", in, fmt.Sprintf("'%s' is a required property", name))
		}
	}
	number := func(name string) int { n, _ := rest.Number(in[name]); return int(n) }
	f := &Flavor{
		ID: rest.Text(in["id"]), Name: rest.Str(in, "name"), RAM: number("ram"), VCPUs: number("vcpus"), Disk: number("disk"),
		Swap: number("swap"), Ephemeral: number("OS-FLV-EXT-DATA:ephemeral"), ExtraSpecs: map[string]string{}, Description: in["description"],
	}
	if public, ok := in["os-flavor-access:is_public"].(bool); ok {
		f.Private = !public
	}
	if f.ID == "" {
		f.ID = uuid.NewString()
	}
	for _, o := range s.flavors {
		if o.ID == f.ID {
			return nil, fail(http.StatusConflict, "Flavor with ID %s already exists.", f.ID)
		}
		if o.Name == f.Name {
			return nil, fail(http.StatusConflict, "Flavor with name %s already exists.", f.Name)
		}
	}
	s.sequence++
	f.number = s.sequence
	s.flavors = append(s.flavors, f)
	return rest.OK(rest.Doc{"flavor": flavorDoc(r, f)})
}

// updateFlavor changes the description, which is all that can be changed.
func (s *Server) updateFlavor(r *rest.Request) (*rest.Reply, error) {
	if r.Minor < 55 {
		return nil, fail(http.StatusNotFound, "The resource could not be found.")
	}
	in, _, err := body(r, "flavor")
	if err != nil {
		return nil, err
	}
	if _, ok := in["description"]; !ok {
		return nil, field("flavor", in, "'description' is a required property")
	}
	if !r.Caller.Admin() {
		return nil, denied("os_compute_api:os-flavor-manage:update")
	}
	f, err := s.findFlavor(r)
	if err != nil {
		return nil, err
	}
	f.Description = in["description"]
	return rest.OK(rest.Doc{"flavor": flavorDoc(r, f)})
}

func (s *Server) deleteFlavor(r *rest.Request) (*rest.Reply, error) {
	if !r.Caller.Admin() {
		return nil, denied("os_compute_api:os-flavor-manage:delete")
	}
	f, err := s.findFlavor(r)
	if err != nil {
		return nil, err
	}
	s.flavors = slices.DeleteFunc(s.flavors, func(o *Flavor) bool { return o == f })
	return &rest.Reply{Status: http.StatusAccepted}, nil
}

func (s *Server) listExtraSpecs(r *rest.Request) (*rest.Reply, error) {
	f, err := s.findFlavor(r)
	if err != nil {
		return nil, err
	}
	return rest.OK(rest.Doc{"extra_specs": maps.Clone(f.ExtraSpecs)})
}

func (s *Server) createExtraSpecs(r *rest.Request) (*rest.Reply, error) {
	if !r.Caller.Admin() {
		return nil, denied("os_compute_api:os-flavor-extra-specs:create")
	}
	in, _, err := body(r, "extra_specs")
	if err != nil {
		return nil, err
	}
	f, err := s.findFlavor(r)
	if err != nil {
		return nil, err
	}
	for k, v := range in {
		f.ExtraSpecs[k] = rest.Text(v)
	}
	return rest.OK(rest.Doc{"extra_specs": in})
}

func (s *Server) showExtraSpec(r *rest.Request) (*rest.Reply, error) {
	f, err := s.findFlavor(r)
	if err != nil {
		return nil, err
	}
	v, ok := f.ExtraSpecs[r.Param("key")]
	if !ok {
		return nil, fail(http.StatusNotFound, "Flavor %s has no extra specs with key %s.", f.ID, r.Param("key"))
	}
	return rest.OK(rest.Doc{r.Param("key"): v})
}

package plan

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// Flavor is a flavor as far as it must be the same in every pod.
type Flavor struct {
	ID          string            `json:"id"`
	Name        string            `json:"name"`
	RAM         int64             `json:"ram"`
	VCPUs       int64             `json:"vcpus"`
	Disk        int64             `json:"disk"`
	Swap        int64             `json:"swap"`
	Ephemeral   int64             `json:"OS-FLV-EXT-DATA:ephemeral"`
	RxTx        float64           `json:"rxtx_factor"`
	Public      bool              `json:"os-flavor-access:is_public"`
	Description *string           `json:"description"`
	ExtraSpecs  map[string]string `json:"extra_specs"`
	Projects    []string          `json:"projects"` // sorted; that see it when it is not public
}

// ReadFlavor reads a flavor out of Nova's reply, whatever its version; what the
// version does not show is left empty.
func ReadFlavor(doc gjson.Result) Flavor {
	f := Flavor{
		ID: doc.Get("id").String(), Name: doc.Get("name").Str, RAM: doc.Get("ram").Int(), VCPUs: doc.Get("vcpus").Int(),
		Disk: doc.Get("disk").Int(), Swap: doc.Get("swap").Int(), Ephemeral: doc.Get("OS-FLV-EXT-DATA:ephemeral").Int(),
		RxTx: doc.Get("rxtx_factor").Float(), Public: doc.Get("os-flavor-access:is_public").Bool(), ExtraSpecs: map[string]string{},
	}
	if d := doc.Get("description"); d.Type == gjson.String {
		f.Description = &d.Str
	}
	doc.Get("extra_specs").ForEach(func(key, value gjson.Result) bool {
		f.ExtraSpecs[key.Str] = value.String()
		return true
	})
	return f
}

// body is what Nova creates the flavor from.
func (f Flavor) body() map[string]any {
	return map[string]any{
		"id": f.ID, "name": f.Name, "ram": f.RAM, "vcpus": f.VCPUs, "disk": f.Disk, "swap": f.Swap, "OS-FLV-EXT-DATA:ephemeral": f.Ephemeral,
		"rxtx_factor": f.RxTx, "os-flavor-access:is_public": f.Public, "description": f.Description,
	}
}

// Bare is the flavor as its creation makes it: without extra specs and access.
func (f Flavor) Bare() Flavor {
	f.ExtraSpecs, f.Projects = map[string]string{}, nil
	return f
}

// size is what Nova never changes in a flavor.
func (f Flavor) size() Flavor {
	return Flavor{ID: f.ID, Name: f.Name, RAM: f.RAM, VCPUs: f.VCPUs, Disk: f.Disk, Swap: f.Swap, Ephemeral: f.Ephemeral, RxTx: f.RxTx, Public: f.Public}
}

func (f Flavor) sameSize(o Flavor) bool {
	a, b := f.size(), o.size()
	return a.ID == b.ID && a.Name == b.Name && a.RAM == b.RAM && a.VCPUs == b.VCPUs && a.Disk == b.Disk &&
		a.Swap == b.Swap && a.Ephemeral == b.Ephemeral && a.RxTx == b.RxTx && a.Public == b.Public
}

// Replica is the flavor as a report shows it.
func (f Flavor) Replica() Replica {
	fields := map[string]string{
		"name": f.Name, "ram": strconv.FormatInt(f.RAM, 10), "vcpus": strconv.FormatInt(f.VCPUs, 10), "disk": strconv.FormatInt(f.Disk, 10),
		"swap": strconv.FormatInt(f.Swap, 10), "ephemeral": strconv.FormatInt(f.Ephemeral, 10),
		"rxtx_factor": strconv.FormatFloat(f.RxTx, 'g', -1, 64), "is_public": strconv.FormatBool(f.Public), "access": strings.Join(f.Projects, " "),
	}
	if f.Description != nil {
		fields["description"] = *f.Description
	}
	for k, v := range f.ExtraSpecs {
		fields["extra_specs."+k] = v
	}
	return Replica{Kind: "flavor", ID: f.ID, Name: f.Name, Fields: fields}
}

// FlavorChanges is what to do in a pod.
type FlavorChanges struct {
	Delete      bool           // what is there, before all else
	Create      map[string]any // the body; nil: it is there
	Describe    bool
	Description *string
	SetSpecs    map[string]string
	DropSpecs   []string
	Admit       []string // projects that are to see it
	Expel       []string
}

// Empty says that nothing is to be done.
func (c FlavorChanges) Empty() bool {
	return !c.Delete && c.Create == nil && !c.Describe && len(c.SetSpecs)+len(c.DropSpecs)+len(c.Admit)+len(c.Expel) == 0
}

// Words say what would be done, for operators.
func (c FlavorChanges) Words() []string {
	var out []string
	switch {
	case c.Delete:
		out = append(out, "delete it and make it anew")
	case c.Create != nil:
		out = append(out, "make it")
	}
	if c.Describe {
		text := "no description"
		if c.Description != nil {
			text = "description " + strconv.Quote(*c.Description)
		}
		out = append(out, "give it "+text)
	}
	for _, k := range slices.Sorted(maps.Keys(c.SetSpecs)) {
		out = append(out, "set "+k+"="+c.SetSpecs[k])
	}
	for _, k := range c.DropSpecs {
		out = append(out, "unset "+k)
	}
	for _, p := range c.Admit {
		out = append(out, "add access of project "+p)
	}
	for _, p := range c.Expel {
		out = append(out, "remove access of project "+p)
	}
	return out
}

// FlavorIn says what to do in a pod that was last told one thing, has another,
// and is to have a third. What the region has not changed since it told the pod
// is left as the pod has it, whoever changed it there: that is drift, for an
// operator to judge. Told nil: the pod knows nothing of it from us, so that what
// it has is its own. Found nil: it has none; create then tells whether it may get one.
func FlavorIn(want Flavor, told, found *Flavor, create bool) FlavorChanges {
	switch {
	case found == nil && !create, found != nil && told == nil:
		return FlavorChanges{}
	case found == nil:
		c := flavorDetails(want, want.Bare(), want.Bare())
		c.Create = want.body()
		return c
	case !want.sameSize(*found):
		if want.sameSize(*told) || !found.sameSize(*told) {
			return flavorDetails(want, *told, *found) // another one in its place
		}
		c := flavorDetails(want, want.Bare(), want.Bare())
		c.Delete, c.Create = true, want.body()
		return c
	}
	return flavorDetails(want, *told, *found)
}

// flavorDetails is FlavorIn for what Nova can change.
func flavorDetails(want, told, found Flavor) FlavorChanges {
	var c FlavorChanges
	if !sameText(want.Description, told.Description) && !sameText(want.Description, found.Description) {
		c.Describe, c.Description = true, want.Description
	}
	c.SetSpecs, c.DropSpecs = specs(want.ExtraSpecs, told.ExtraSpecs, found.ExtraSpecs)
	c.Admit, c.Expel = members(want.Projects, told.Projects, found.Projects)
	return c
}

func sameText(a, b *string) bool {
	return a == nil && b == nil || a != nil && b != nil && *a == *b
}

// FlavorHas says that what separates after from before has come about in found.
func FlavorHas(before, after, found Flavor) bool {
	return FlavorIn(after, &before, &found, false).Empty()
}

// Content is the flavor as it is kept.
func (f Flavor) Content() json.RawMessage {
	raw, err := json.Marshal(f)
	if err != nil {
		panic("plan: a flavor does not encode: " + err.Error()) // strings and numbers always do
	}
	return raw
}

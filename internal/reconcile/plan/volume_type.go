package plan

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// VolumeType is a volume type as far as it must be the same in every pod. Its ID
// is each pod's own; that of its QoS specs is the region's.
type VolumeType struct {
	Name        string            `json:"name"`
	Description *string           `json:"description"`
	Public      bool              `json:"is_public"`
	ExtraSpecs  map[string]string `json:"extra_specs"`
	Projects    []string          `json:"projects"` // sorted; that see it when it is not public
	QoS         string            `json:"qos_specs_id"`
	Encryption  *Encryption       `json:"encryption"`
}

// Encryption says how volumes of a type are encrypted.
type Encryption struct {
	Provider        string  `json:"provider"`
	ControlLocation string  `json:"control_location"`
	Cipher          *string `json:"cipher"`
	KeySize         *int64  `json:"key_size"`
}

// ReadVolumeType reads a type out of Cinder's reply.
func ReadVolumeType(doc gjson.Result) VolumeType {
	return VolumeType{
		Name: doc.Get("name").Str, Description: textOf(doc.Get("description")), Public: doc.Get("is_public").Bool(),
		ExtraSpecs: textsOf(doc.Get("extra_specs")), QoS: doc.Get("qos_specs_id").Str,
	}
}

// ReadEncryption reads what a type's encryption is; nil: none.
func ReadEncryption(doc gjson.Result) *Encryption {
	if !doc.Get("provider").Exists() {
		return nil
	}
	e := &Encryption{Provider: doc.Get("provider").Str, ControlLocation: doc.Get("control_location").Str, Cipher: textOf(doc.Get("cipher"))}
	if size := doc.Get("key_size"); size.Type == gjson.Number {
		n := size.Int()
		e.KeySize = &n
	}
	return e
}

func textOf(v gjson.Result) *string {
	if v.Type != gjson.String {
		return nil
	}
	return &v.Str
}

func textsOf(object gjson.Result) map[string]string {
	out := map[string]string{}
	object.ForEach(func(key, value gjson.Result) bool {
		out[key.Str] = value.String()
		return true
	})
	return out
}

// Bare is the type as its creation makes it.
func (t VolumeType) Bare() VolumeType {
	t.Projects, t.QoS, t.Encryption = nil, "", nil
	return t
}

// Replica is the type as a report shows it.
func (t VolumeType) Replica() Replica {
	fields := map[string]string{"name": t.Name, "is_public": strconv.FormatBool(t.Public), "qos_specs_id": t.QoS}
	if t.Description != nil && *t.Description != "" {
		fields["description"] = *t.Description
	}
	if !t.Public {
		fields["access"] = strings.Join(t.Projects, " ")
	}
	if t.Encryption != nil {
		fields["encryption"] = t.Encryption.words()
	}
	for k, v := range t.ExtraSpecs {
		fields["extra_specs."+k] = v
	}
	return Replica{Kind: "volume_type", Name: t.Name, Fields: fields}
}

func (e *Encryption) words() string {
	out := e.Provider + " " + e.ControlLocation
	if e.Cipher != nil {
		out += " " + *e.Cipher
	}
	if e.KeySize != nil {
		out += " " + strconv.FormatInt(*e.KeySize, 10)
	}
	return out
}

func (e *Encryption) same(o *Encryption) bool {
	return e == nil && o == nil || e != nil && o != nil && e.words() == o.words()
}

// Content is the type as it is kept.
func (t VolumeType) Content() json.RawMessage { return encoded(t) }

func encoded(v any) json.RawMessage {
	raw, err := json.Marshal(v)
	if err != nil {
		panic("plan: a replica does not encode: " + err.Error()) // texts and numbers always do
	}
	return raw
}

// TypeChanges is what to do with a volume type or a group type in a pod.
type TypeChanges struct {
	Create    map[string]any // the body; nil: it is there
	Update    map[string]any
	SetSpecs  map[string]string
	DropSpecs []string
	Admit     []string // projects that are to see it
	Expel     []string
	// Leave and Join are QoS specs.
	Leave, Join string
	// Encrypt is what the encryption is to be; it is there already when Reencrypt is set.
	Encrypt              *Encryption
	Reencrypt, Unencrypt bool
}

// Later says that there is something to do after the creation.
func (c TypeChanges) Later() bool {
	return len(c.Update)+len(c.SetSpecs)+len(c.DropSpecs)+len(c.Admit)+len(c.Expel) > 0 || c.Leave+c.Join != "" || c.Encrypt != nil || c.Unencrypt
}

// Words say what would be done, for operators.
func (c TypeChanges) Words() []string {
	var out []string
	if c.Create != nil {
		out = append(out, "make it")
	}
	for _, k := range slices.Sorted(maps.Keys(c.Update)) {
		raw, _ := json.Marshal(c.Update[k])
		out = append(out, "give it "+k+" "+string(raw))
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
	if c.Leave != "" {
		out = append(out, "take QoS specs "+c.Leave+" from it")
	}
	if c.Join != "" {
		out = append(out, "give it QoS specs "+c.Join)
	}
	switch {
	case c.Encrypt != nil:
		out = append(out, "encrypt its volumes by "+c.Encrypt.words())
	case c.Unencrypt:
		out = append(out, "do not encrypt its volumes")
	}
	return out
}

// VolumeTypeIn says what to do in a pod that was last told one thing, has another,
// and is to have a third. Told nil: what it has is its own. Found nil: it has none;
// create then tells whether it may get one.
func VolumeTypeIn(want VolumeType, told, found *VolumeType, create bool) TypeChanges {
	if found == nil && !create || found != nil && told == nil {
		return TypeChanges{}
	}
	if found == nil {
		bare := want.Bare()
		c := volumeTypeDetails(want, bare, bare)
		c.Create = map[string]any{"name": want.Name, "description": want.Description, "extra_specs": want.ExtraSpecs,
			"os-volume-type-access:is_public": want.Public}
		return c
	}
	return volumeTypeDetails(want, *told, *found)
}

func volumeTypeDetails(want, told, found VolumeType) TypeChanges {
	c := TypeChanges{Update: typeUpdate(typeHead(want), typeHead(told), typeHead(found))}
	c.SetSpecs, c.DropSpecs = specs(want.ExtraSpecs, told.ExtraSpecs, found.ExtraSpecs)
	if !want.Public {
		c.Admit, c.Expel = members(want.Projects, told.Projects, found.Projects)
	}
	if changed(want.QoS, told.QoS, found.QoS) {
		c.Leave, c.Join = found.QoS, want.QoS
	}
	if !want.Encryption.same(told.Encryption) && !want.Encryption.same(found.Encryption) {
		c.Encrypt, c.Reencrypt, c.Unencrypt = want.Encryption, found.Encryption != nil, want.Encryption == nil
	}
	return c
}

// head is what an update of a type changes.
type head struct {
	name, description string
	public            bool
}

func typeHead(t VolumeType) head { return headOf(t.Name, t.Description, t.Public) }

func headOf(name string, description *string, public bool) head {
	h := head{name: name, public: public}
	if description != nil {
		h.description = *description
	}
	return h
}

// typeUpdate is nil when there is nothing to update. Cinder does not take a
// description away, but makes it empty.
func typeUpdate(want, told, found head) map[string]any {
	out := map[string]any{}
	if changed(want.name, told.name, found.name) {
		out["name"] = want.name
	}
	if changed(want.description, told.description, found.description) {
		out["description"] = want.description
	}
	if changed(want.public, told.public, found.public) {
		out["is_public"] = want.public
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// ZonesSpec is the extra spec that binds a volume type to zones.
const ZonesSpec = "RESKEY:availability_zones"

// InZones is the type with the zones of its extra spec under other names.
func (t VolumeType) InZones(name func(zone string) string) VolumeType {
	zones, ok := t.ExtraSpecs[ZonesSpec]
	if !ok {
		return t
	}
	t.ExtraSpecs = maps.Clone(t.ExtraSpecs)
	t.ExtraSpecs[ZonesSpec] = RenameZones(zones, name)
	return t
}

// RenameZones gives each zone of such a list another name.
func RenameZones(list string, name func(zone string) string) string {
	parts := strings.Split(list, ",")
	for i, part := range parts {
		zone := strings.TrimSpace(part)
		parts[i] = strings.Replace(part, zone, name(zone), 1)
	}
	return strings.Join(parts, ",")
}

package plan

import (
	"encoding/json"
	"strconv"

	"github.com/tidwall/gjson"
)

// GroupType is a group type as far as it must be the same in every pod.
type GroupType struct {
	Name        string            `json:"name"`
	Description *string           `json:"description"`
	Public      bool              `json:"is_public"`
	Specs       map[string]string `json:"group_specs"`
}

// ReadGroupType reads a group type out of Cinder's reply.
func ReadGroupType(doc gjson.Result) GroupType {
	return GroupType{Name: doc.Get("name").Str, Description: textOf(doc.Get("description")), Public: doc.Get("is_public").Bool(),
		Specs: textsOf(doc.Get("group_specs"))}
}

// Content is the group type as it is kept.
func (t GroupType) Content() json.RawMessage { return encoded(t) }

// Replica is the group type as a report shows it.
func (t GroupType) Replica() Replica {
	fields := map[string]string{"name": t.Name, "is_public": strconv.FormatBool(t.Public)}
	if t.Description != nil && *t.Description != "" {
		fields["description"] = *t.Description
	}
	for k, v := range t.Specs {
		fields["group_specs."+k] = v
	}
	return Replica{Kind: "group_type", Name: t.Name, Fields: fields}
}

// GroupTypeIn says what to do in a pod, as VolumeTypeIn does.
func GroupTypeIn(want GroupType, told, found *GroupType, create bool) TypeChanges {
	switch {
	case found == nil && !create, found != nil && told == nil:
		return TypeChanges{}
	case found == nil:
		return TypeChanges{Create: map[string]any{"name": want.Name, "description": want.Description, "is_public": want.Public, "group_specs": want.Specs}}
	}
	c := TypeChanges{Update: typeUpdate(headOf(want.Name, want.Description, want.Public), headOf(told.Name, told.Description, told.Public),
		headOf(found.Name, found.Description, found.Public))}
	c.SetSpecs, c.DropSpecs = specs(want.Specs, told.Specs, found.Specs)
	return c
}

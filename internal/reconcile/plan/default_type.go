package plan

import (
	"encoding/json"

	"github.com/tidwall/gjson"
)

// DefaultType is the volume type that a project's volumes have by default, by the
// region's ID.
type DefaultType struct {
	Project string `json:"project_id"`
	Type    string `json:"volume_type_id"`
}

// ReadDefaultType reads it out of Cinder's reply.
func ReadDefaultType(doc gjson.Result) DefaultType {
	return DefaultType{Project: doc.Get("project_id").Str, Type: doc.Get("volume_type_id").Str}
}

// Content is it as it is kept.
func (d DefaultType) Content() json.RawMessage { return encoded(d) }

// Replica is it as a report shows it.
func (d DefaultType) Replica() Replica {
	return Replica{Kind: "default_type", ID: d.Project, Name: d.Project, Fields: map[string]string{"volume_type_id": d.Type}}
}

// DefaultTypeIn says whether to set it in a pod.
func DefaultTypeIn(want DefaultType, told, found *DefaultType, create bool) bool {
	switch {
	case found == nil:
		return create
	case told == nil:
		return false
	}
	return changed(want.Type, told.Type, found.Type)
}

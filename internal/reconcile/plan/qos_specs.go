package plan

import (
	"encoding/json"
	"maps"

	"github.com/tidwall/gjson"
)

// QoSSpecs are QoS specs of volumes as far as they must be the same in every pod.
type QoSSpecs struct {
	Name     string            `json:"name"`
	Consumer string            `json:"consumer"`
	Specs    map[string]string `json:"specs"`
}

// ReadQoSSpecs reads them out of Cinder's reply.
func ReadQoSSpecs(doc gjson.Result) QoSSpecs {
	return QoSSpecs{Name: doc.Get("name").Str, Consumer: doc.Get("consumer").Str, Specs: textsOf(doc.Get("specs"))}
}

// Content is them as they are kept.
func (q QoSSpecs) Content() json.RawMessage { return encoded(q) }

// Replica is them as a report shows them.
func (q QoSSpecs) Replica() Replica {
	fields := map[string]string{"name": q.Name, "consumer": q.Consumer}
	for k, v := range q.Specs {
		fields["specs."+k] = v
	}
	return Replica{Kind: "qos_specs", Name: q.Name, Fields: fields}
}

// QoSSpecsIn says what to do in a pod, as VolumeTypeIn does. The consumer is one of
// the specs to set, as in Cinder's requests.
func QoSSpecsIn(want QoSSpecs, told, found *QoSSpecs, create bool) TypeChanges {
	switch {
	case found == nil && !create, found != nil && told == nil:
		return TypeChanges{}
	case found == nil:
		body := map[string]any{"name": want.Name}
		for k, v := range want.flat() {
			body[k] = v
		}
		return TypeChanges{Create: body}
	}
	var c TypeChanges
	c.SetSpecs, c.DropSpecs = specs(want.flat(), told.flat(), found.flat())
	return c
}

func (q QoSSpecs) flat() map[string]string {
	out := maps.Clone(q.Specs)
	if out == nil {
		out = map[string]string{}
	}
	if q.Consumer != "" {
		out["consumer"] = q.Consumer
	}
	return out
}

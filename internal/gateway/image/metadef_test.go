package image_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/pod/podtest"
	"github.com/tricircle/tricircle/internal/reconcile/plan"
	"github.com/tricircle/tricircle/internal/store"
)

const colours = "/metadefs/namespaces/colours"

// namespaceIn is what the pod has; empty: nothing.
func (w *world) namespaceIn(name string) string {
	w.t.Helper()
	r := w.as("admin").past(w.cloud.Pod(name)).do("GET", colours, nil)
	if r.status == http.StatusNotFound {
		return ""
	}
	n := plan.ReadNamespace(gjson.ParseBytes(r.want(w.t, 200).body))
	text, err := json.Marshal(n)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

// settle runs the jobs of the namespace in all pods.
func (w *world) settle() {
	w.t.Helper()
	for _, p := range w.cloud.Pods() {
		if err := w.jobs.Ensure(w.t.Context(), store.Target{Kind: store.KindNamespace, ID: "colours", Pod: p.Name}, nil); err != nil {
			w.t.Fatal(err)
		}
	}
}

func TestMetadataDefinitionsAreInAllPods(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin, demo := w.as("admin"), w.as("demo")
	demo.do("POST", "/metadefs/namespaces", m{"namespace": "colours"}).want(t, 403)
	admin.do("POST", "/metadefs/namespaces", m{"namespace": "colours", "visibility": "public", "protected": true}).want(t, 201)
	admin.do("POST", "/metadefs/namespaces", m{"namespace": "colours"}).want(t, 409)
	admin.do("POST", colours+"/objects", m{"name": "o", "properties": m{"p": m{"type": "string", "title": "P"}}}).want(t, 201)
	admin.do("POST", colours+"/tags/blue", nil).want(t, 201)
	alike := func(when string) {
		t.Helper()
		if diff := cmp.Diff(w.namespaceIn("pod1"), w.namespaceIn("pod2")); diff != "" {
			t.Errorf("%s the pods differ (-pod1 +pod2):\n%s", when, diff)
		}
	}
	alike("after it was made")

	w.cloud.Pod("pod2").Down()
	admin.do("POST", colours+"/properties", m{"name": "q", "type": "string", "title": "Q"}).want(t, 201)
	admin.do("POST", colours+"/resource_types", m{"name": "OS::Nova::Flavor", "prefix": "x:"}).want(t, 201)
	admin.do("PUT", colours+"/objects/o", m{"name": "o", "description": "new"}).want(t, 200)
	admin.do("DELETE", colours+"/tags/blue", nil).want(t, 204)
	admin.do("PUT", colours, m{"namespace": "colours", "visibility": "public", "protected": true, "description": "all of them"}).want(t, 200)
	w.cloud.Pod("pod2").Up()
	demo.do("GET", colours, nil).want(t, 200, "all of them")
	eventually(t, func() bool {
		err := w.jobs.Ensure(t.Context(), store.Target{Kind: store.KindNamespace, ID: "colours", Pod: "pod2"}, nil)
		return err == nil
	})
	w.settle()
	alike("after pod2 was away")

	admin.do("PUT", colours, m{"namespace": "sounds"}).want(t, 501, "cannot be renamed")
	admin.do("DELETE", colours+"/tags/blue", nil).want(t, 404)
	admin.do("DELETE", colours, nil).want(t, 403, "protected")
	admin.do("PUT", colours, m{"namespace": "colours", "protected": false}).want(t, 200)
	admin.do("DELETE", colours, nil).want(t, 204)
	if one, two := w.namespaceIn("pod1"), w.namespaceIn("pod2"); one+two != "" {
		t.Errorf("after it was deleted pod1 has %q, pod2 %q", one, two)
	}
	admin.do("GET", colours, nil).want(t, 404)
}

// A change whose reply is lost is found out by its job.
func TestMetadataDefinitionWhoseReplyIsLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.as("admin")
	admin.do("POST", "/metadefs/namespaces", m{"namespace": "colours"}).want(t, 201)
	w.cloud.Pod("pod1").Fault(podtest.Fault{Service: podtest.Image, Method: http.MethodPost, Path: "/objects$", DropReply: true, Times: 1})
	admin.do("POST", colours+"/objects", m{"name": "o"}).want(t, 503)
	rep, err := w.store.FindReplica(t.Context(), store.KindNamespace, "colours")
	if err != nil || rep.Attempt == nil {
		t.Fatalf("replica = %+v, %v; want an attempt", rep, err)
	}
	if err := w.jobs.Ensure(t.Context(), store.AttemptTarget(*rep.Attempt, store.KindNamespace, "colours"), nil); err != nil {
		t.Fatal(err)
	}
	w.settle()
	if diff := cmp.Diff(w.namespaceIn("pod1"), w.namespaceIn("pod2")); diff != "" {
		t.Errorf("the pods differ (-pod1 +pod2):\n%s", diff)
	}
}

// Package plan compares what is wanted in a pod with what was found there and
// says what to change. It is pure: the same input gives the same plan, and
// planning again after the changes gives none.
package plan

import "strings"

// Mark is the description by which we know our own objects in a pod again, also
// after a crash between creating one and writing its ID down.
func Mark(kind, id string) string { return "tricircle:" + kind + ":" + id }

// Marked says that a description is one of our marks.
func Marked(description string) bool { return strings.HasPrefix(description, "tricircle:") }

// Changes is the body of an update: Neutron's attribute names and new values.
// Empty means that nothing has to change.
type Changes map[string]any

// setQoS is set for the QoS policy. None is null; a pod without such policies
// shows none and is told none.
func setQoS(c Changes, found, want string) {
	switch {
	case found == want:
	case want == "":
		c["qos_policy_id"] = nil
	default:
		c["qos_policy_id"] = want
	}
}

// setProject says whose the new thing is. What is nobody's (a bridge, with what
// stands on it) becomes the service account's.
func setProject(body map[string]any, project string) {
	if project != "" {
		body["project_id"] = project
	}
}

// set adds the attribute when found differs from want.
func set[T comparable](c Changes, attribute string, found, want T) {
	if found != want {
		c[attribute] = want
	}
}

package store

import "time"

// Pod is one OpenStack cloud behind Tricircle.
type Pod struct {
	Name    string `json:"name"`
	Region  string `json:"region"`   // its region in Keystone
	Zone    string `json:"zone"`     // the availability zone users see
	PodZone string `json:"pod_zone"` // what the pod calls it; empty: the pod's default
	// Cloud names the credentials: a cloud of the server's clouds.yaml, or
	// "env:PREFIX_" for OS_* variables with that prefix. Empty: Tricircle's own.
	Cloud     string    `json:"cloud"`
	Interface string    `json:"interface"`  // endpoint interface; default public
	DHCPPorts int       `json:"dhcp_ports"` // reserved per network: DHCP agents per network there
	Cordoned  bool      `json:"cordoned"`   // takes nothing new
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// Binding says which pod a project uses in a zone. Made on first use.
type Binding struct {
	ProjectID string `json:"project_id"`
	Zone      string `json:"zone"`
	Pod       string `json:"pod"`
}

package nova

import "github.com/tricircle/tricircle/internal/pod/podtest/rest"

func (s *Server) listZones(*rest.Request) (*rest.Reply, error) {
	return rest.OK(rest.Doc{"availabilityZoneInfo": []rest.Doc{
		{"zoneName": s.Zone, "zoneState": rest.Doc{"available": true}, "hosts": nil},
	}})
}

func (s *Server) listZonesDetail(r *rest.Request) (*rest.Reply, error) {
	if !r.Caller.Admin() {
		return nil, denied("os_compute_api:os-availability-zone:detail")
	}
	up := rest.Doc{"available": true, "active": true, "updated_at": micros(s.Now())}
	return rest.OK(rest.Doc{"availabilityZoneInfo": []rest.Doc{
		{"zoneName": "internal", "zoneState": rest.Doc{"available": true}, "hosts": rest.Doc{s.Host: rest.Doc{"nova-scheduler": up, "nova-conductor": up}}},
		{"zoneName": s.Zone, "zoneState": rest.Doc{"available": true}, "hosts": rest.Doc{s.Host: rest.Doc{"nova-compute": up}}},
	}})
}

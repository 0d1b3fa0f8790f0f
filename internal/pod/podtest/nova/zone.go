package nova

import "github.com/tricircle/tricircle/internal/pod/podtest/rest"

func (s *Server) listZones(*rest.Request) (*rest.Reply, error) {
	out := []rest.Doc{}
	for _, zone := range s.zones() {
		out = append(out, rest.Doc{"zoneName": zone, "zoneState": rest.Doc{"available": true}, "hosts": nil})
	}
	return rest.OK(rest.Doc{"availabilityZoneInfo": out})
}

func (s *Server) listZonesDetail(r *rest.Request) (*rest.Reply, error) {
	if !r.Caller.Admin() {
		return nil, denied("os_compute_api:os-availability-zone:detail")
	}
	up := rest.Doc{"available": true, "active": true, "updated_at": micros(s.Now())}
	out := []rest.Doc{{"zoneName": "internal", "zoneState": rest.Doc{"available": true}, "hosts": rest.Doc{control: rest.Doc{"nova-scheduler": up, "nova-conductor": up}}}}
	for _, zone := range s.zones() {
		hosts := rest.Doc{}
		for _, host := range s.hosts {
			if s.zoneOf(host) == zone {
				hosts[host] = rest.Doc{"nova-compute": up}
			}
		}
		out = append(out, rest.Doc{"zoneName": zone, "zoneState": rest.Doc{"available": true}, "hosts": hosts})
	}
	return rest.OK(rest.Doc{"availabilityZoneInfo": out})
}

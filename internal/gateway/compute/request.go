package compute

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/tidwall/gjson"

	"github.com/tricircle/tricircle/internal/fault"
	"github.com/tricircle/tricircle/internal/gateway"
)

// maxServers bounds max_count: each server is a creation of its own, and all are
// made within one request.
const maxServers = 100

// creation is the body of POST /servers. Both maps hold the request as it came,
// field by field, so that what we do not know goes to the pod untouched; the
// rest is what we must understand. Maps also settle what a repeated key means:
// the last one counts, here as in the pod.
type creation struct {
	document map[string]json.RawMessage
	server   map[string]json.RawMessage

	Name      string
	ImageID   string // empty: boots from a block device
	FlavorID  string
	Zone      zoneWish
	Networks  networkWish
	Groups    []string // nil: not given
	Volumes   []volumeWish
	Min, Max  int
	Reserve   bool // return_reservation_id
	Apart     bool // each server in another pod: our hint
	metadata  map[string]json.RawMessage
	atVersion gateway.Microversion
}

// zoneWish is availability_zone, with the hosts that admins may add to it.
type zoneWish struct {
	Name, Host, Node string
	// A zone that no pod's row names: what those pods call it that have it now. Name
	// is empty then.
	Own  string
	Pods []string
}

// networkWish is "networks": a list, or a word.
type networkWish struct {
	Mode string // "", "auto" or "none"; "" with no NICs means: whatever there is
	NICs []nicWish
}

// nicWish is one entry of "networks".
type nicWish struct {
	NetworkID, PortID string
	Address           netip.Addr
	Tag               json.RawMessage
}

// volumeWish is a block device that exists in one pod.
type volumeWish struct {
	Kind string // volume, snapshot, image
	ID   string
}

// parseCreation reads the body. It checks what it must understand, in Nova's
// words; the rest is for the pod to judge.
func parseCreation(body []byte, v gateway.Microversion) (*creation, error) {
	c := &creation{atVersion: v}
	if len(body) == 0 {
		return nil, fault.New(fault.Invalid, "", "None is not of type 'object'")
	}
	if !json.Valid(body) {
		return nil, fault.New(fault.Invalid, "", "Malformed request body")
	}
	if json.Unmarshal(body, &c.document) != nil {
		return nil, fault.New(fault.Invalid, "", "%s is not of type 'object'", bytes.TrimSpace(body))
	}
	raw, ok := c.document["server"]
	if !ok {
		return nil, fault.New(fault.Invalid, "", "'server' is a required property")
	}
	if json.Unmarshal(raw, &c.server) != nil || c.server == nil {
		return nil, wrongType("server", raw, "object")
	}
	for _, read := range []func() error{
		c.readHints, c.readName, c.readFlavor, c.readImage, c.readZone, c.readHosts, c.readCounts, c.readNetworks, c.readGroups, c.readDevices, c.readMetadata,
	} {
		if err := read(); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// lacks is the error for a server without a field that it must have.
func (c *creation) lacks(field string) error {
	return misfit("server", gjson.ParseBytes(c.document["server"]), "'"+field+"' is a required property")
}

func wrongType(field string, value json.RawMessage, want string) error {
	return unfit(field, gjson.ParseBytes(value), "is not of type '"+want+"'")
}

func wrongValue(field string, value json.RawMessage, reason string) error {
	return unfit(field, gjson.ParseBytes(value), reason)
}

// text reads a string field of the server. An absent or null field is empty.
func (c *creation) text(field string) (string, error) {
	raw, ok := c.server[field]
	if !ok || isNull(raw) {
		return "", nil
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return "", wrongType(field, raw, "string")
	}
	return s, nil
}

func isNull(raw json.RawMessage) bool { return string(raw) == "null" }

func (c *creation) readName() (err error) {
	if _, ok := c.server["name"]; !ok {
		return c.lacks("name")
	}
	c.Name, err = c.text("name")
	if err == nil && utf8.RuneCountInString(c.Name) > 255 {
		return wrongValue("name", c.server["name"], "is too long")
	}
	return err
}

func (c *creation) readFlavor() error {
	raw, ok := c.server["flavorRef"]
	if !ok {
		return c.lacks("flavorRef")
	}
	var ref string
	if json.Unmarshal(raw, &ref) != nil {
		var number json.Number
		if json.Unmarshal(raw, &number) != nil { // Nova takes 1 for "1"
			return wrongType("flavorRef", raw, "string")
		}
		ref = number.String()
	}
	c.FlavorID = lastSegment(ref)
	return nil
}

func (c *creation) readImage() error {
	ref, err := c.text("imageRef")
	if err != nil || ref == "" {
		return err
	}
	c.ImageID = lastSegment(ref)
	if uuid.Validate(c.ImageID) != nil {
		return wrongValue("imageRef", c.server["imageRef"], "is not valid under any of the given schemas")
	}
	return nil
}

// lastSegment is the ID in a reference, which may be a URL.
func lastSegment(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }

// readZone takes "zone", and the admins' "zone:host", "zone:host:node" and "zone::node".
func (c *creation) readZone() error {
	zone, err := c.text("availability_zone")
	if err != nil {
		return err
	}
	parts := strings.Split(zone, ":")
	if len(parts) > 3 {
		return fault.New(fault.Invalid, "", "Invalid input received: Unable to parse availability_zone")
	}
	parts = append(parts, "", "")
	c.Zone = zoneWish{Name: parts[0], Host: parts[1], Node: parts[2]}
	return nil
}

func (c *creation) readCounts() error {
	var err error
	if c.Min, err = c.count("min_count", 1); err != nil {
		return err
	}
	if c.Max, err = c.count("max_count", c.Min); err != nil {
		return err
	}
	if c.Min > c.Max {
		return fault.New(fault.Invalid, "", "min_count must be <= max_count")
	}
	if c.Max > maxServers {
		return fault.New(fault.Invalid, "", "max_count %d: one request makes at most %d servers in this region", c.Max, maxServers)
	}
	if raw, ok := c.server["return_reservation_id"]; ok {
		c.Reserve = truth(raw)
	}
	if _, ok := c.server["hostname"]; ok && c.Max > 1 {
		return fault.New(fault.Invalid, "", "Unable to allocate a single hostname to multiple instances")
	}
	if c.Reserve && c.Max > 1 {
		return fault.New(fault.Invalid, "", "return_reservation_id with max_count %d: servers of one request have a reservation each in this region; leave it out", c.Max)
	}
	return nil
}

// count reads a positive integer, which Nova also takes as a string.
func (c *creation) count(field string, absent int) (int, error) {
	raw, ok := c.server[field]
	if !ok {
		return absent, nil
	}
	n, err := strconv.Atoi(strings.Trim(string(raw), `"`))
	if err != nil {
		return 0, wrongValue(field, raw, "does not match '^[0-9]*$'")
	}
	if n < 1 {
		return 0, wrongValue(field, raw, "is less than the minimum of 1")
	}
	return n, nil
}

// truth is Nova's idea of a boolean: also "1", "yes", "on", "true", "t", "y".
func truth(raw json.RawMessage) bool {
	switch strings.ToLower(strings.Trim(string(raw), `"`)) {
	case "true", "1", "yes", "on", "t", "y":
		return true
	}
	return false
}

func (c *creation) readGroups() error {
	raw, ok := c.server["security_groups"]
	if !ok {
		return nil
	}
	var groups []struct {
		Name string `json:"name"`
	}
	if isNull(raw) || json.Unmarshal(raw, &groups) != nil {
		return wrongType("security_groups", raw, "array")
	}
	c.Groups = []string{}
	for _, g := range groups {
		if g.Name != "" && !slices.Contains(c.Groups, g.Name) {
			c.Groups = append(c.Groups, g.Name)
		}
	}
	return nil
}

// readDevices finds the block devices that are tied to a pod.
func (c *creation) readDevices() error {
	for _, field := range []string{"block_device_mapping", "block_device_mapping_v2"} {
		raw, ok := c.server[field]
		if !ok {
			continue
		}
		var devices []struct {
			SourceType string `json:"source_type"`
			UUID       string `json:"uuid"`
			VolumeID   string `json:"volume_id"`
			SnapshotID string `json:"snapshot_id"`
			ImageID    string `json:"image_id"`
		}
		if json.Unmarshal(raw, &devices) != nil {
			return wrongType(field, raw, "array")
		}
		for _, d := range devices {
			if d.UUID != "" && (d.SourceType == "volume" || d.SourceType == "snapshot" || d.SourceType == "image") {
				c.Volumes = append(c.Volumes, volumeWish{d.SourceType, d.UUID})
			}
			for kind, id := range map[string]string{"volume": d.VolumeID, "snapshot": d.SnapshotID, "image": d.ImageID} {
				if id != "" {
					c.Volumes = append(c.Volumes, volumeWish{kind, id})
				}
			}
		}
	}
	return nil
}

// readMetadata keeps the user's metadata apart, since our mark joins it. The
// mark's key is ours alone: a copy of it would let a server pass for another.
func (c *creation) readMetadata() error {
	raw, ok := c.server["metadata"]
	if !ok {
		return nil
	}
	if isNull(raw) || json.Unmarshal(raw, &c.metadata) != nil {
		return wrongType("metadata", raw, "object")
	}
	return refuseMark(c.metadata)
}

func refuseMark(metadata map[string]json.RawMessage) error {
	if _, ok := metadata[markKey]; ok {
		return reservedKey()
	}
	return nil
}

// podServer is what one pod is asked for.
type podServer struct {
	Name  string
	Zone  string // the pod's name for it; empty: the pod's default
	Mark  string // the intent's ID
	Ports []podPort
	// ServerGroup is the pod's ID of our group in the hints; empty: the hints stay.
	ServerGroup string
}

// podPort is a port by the pod's ID.
type podPort struct {
	ID  string
	Tag json.RawMessage
}

// body is the request to the pod: the user's, with what only the region knows
// replaced. The groups go, since the ports carry them.
func (c *creation) body(p podServer) ([]byte, error) {
	server := maps.Clone(c.server)
	for _, field := range []string{"security_groups", "min_count", "max_count", "availability_zone", "networks"} {
		delete(server, field)
	}
	server["name"] = mustJSON(p.Name)
	if zone := c.podZone(p.Zone); zone != "" {
		server["availability_zone"] = mustJSON(zone)
	}
	metadata := maps.Clone(c.metadata)
	if metadata == nil {
		metadata = map[string]json.RawMessage{}
	}
	metadata[markKey] = mustJSON(p.Mark)
	server["metadata"] = mustJSON(metadata)
	switch {
	case len(p.Ports) > 0:
		server["networks"] = mustJSON(portEntries(p.Ports))
	default:
		server["networks"] = mustJSON("none")
		if _, given := server["description"]; !given && !c.atVersion.AtLeast(2, 19) {
			server["description"] = server["name"] // what Nova makes of it before 2.19
		}
	}
	document := maps.Clone(c.document)
	document["server"] = mustJSON(server)
	if p.ServerGroup != "" {
		setHint(document, "group", p.ServerGroup)
	}
	return json.Marshal(document)
}

// spoken is the version in which the pod is asked. Before 2.37 there is no word
// for "no network", and the pod would pick one of those that it happens to hold.
// Replies to a creation are the same in both.
func (c *creation) spoken(ports int) gateway.Microversion {
	if ports == 0 && !c.atVersion.AtLeast(2, 37) {
		return gateway.Microversion{Major: 2, Minor: 37}
	}
	return c.atVersion
}

func portEntries(ports []podPort) []map[string]json.RawMessage {
	entries := make([]map[string]json.RawMessage, 0, len(ports))
	for _, p := range ports {
		entry := map[string]json.RawMessage{"port": mustJSON(p.ID)}
		if p.Tag != nil {
			entry["tag"] = p.Tag
		}
		entries = append(entries, entry)
	}
	return entries
}

// podZone is the zone in the pod's words, with the admin's host and node.
func (c *creation) podZone(zone string) string {
	zone = cmp.Or(c.Zone.Own, zone)
	switch {
	case c.Zone.Host != "" && c.Zone.Node != "":
		return zone + ":" + c.Zone.Host + ":" + c.Zone.Node
	case c.Zone.Node != "":
		return zone + "::" + c.Zone.Node
	case c.Zone.Host != "":
		return zone + ":" + c.Zone.Host
	}
	return zone
}

// mustJSON encodes values that cannot fail to encode: strings, and raw JSON that
// was read from valid JSON.
func mustJSON(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// quoteRegexp escapes what the pods' databases take for more than letters.
func quoteRegexp(s string) string { return regexp.QuoteMeta(s) }
